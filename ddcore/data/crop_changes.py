"""The changes of images that a teacher labels crop by crop: a random resized crop, a flip, and CutMix.

The changes of an epoch are drawn for all images at once. Those of an image depend on the key and on its place in the
set, never on the batch that it is in: it is mixed with another image of the set, as that one is cropped in this epoch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ddcore.runtime import sent

RATIO = 4 / 3
"""The largest ratio of the sides of a crop."""
TRIES = 10
"""Draws of a crop, of which the first that lies inside of the image is taken; the middle of the image if none does."""
CROP, FLIP, PARTNER, BOX, ORDER = slice(0, 4), 4, 5, slice(6, 10), 10


@dataclass(frozen=True)
class CropChanges:
    """The changes of all N images of a set.

    Attributes:
        table: ``(N, 10 + 2 tiles)`` int64. Of each image: top, left, height and width of the crop; 1 for a flip; the
            image that it is mixed with; first row, last row + 1, first column and last column + 1 of the box that is
            that image's; and for images of tiles, from where each row and each column of tiles comes.
        tiles: small images per side that an image shows.
        size: ``(H, W)`` of the images.
        whole: whether no image is cropped.
    """

    table: Tensor
    tiles: int
    size: tuple[int, int]
    whole: bool

    def to(self, device: torch.device | str) -> "CropChanges":
        """Return the same on a device, without waiting for it."""
        return replace(self, table=sent(self.table, device))

    def partners(self, members: Tensor) -> Tensor:
        """Return the images that some are mixed with: ``(n,)`` int64, on the device of the table."""
        return self.table[members, PARTNER]

    def shares(self, members: Tensor) -> Tensor:
        """Return which share of the area of images ``(n,)`` is another's: ``(n,)`` float32."""
        first, last, left, right = self.table[members][:, BOX].unbind(1)
        return ((last - first) * (right - left)).float() / math.prod(self.size)

    def changed(self, own: Tensor, others: Tensor, members: Tensor) -> Tensor:
        """Return images under their changes: ``(n, C, H, W)`` float32. It only indexes and computes pixel by pixel.

        Args:
            own: ``(n, C, H, W)`` float32, on the device of the table.
            others: ``(n, C, H, W)`` float32, the images that they are mixed with, see `partners`.
            members: ``(n,)`` int64, the places of `own` in the set.
        """
        rows = self.table[members]
        own, others = self._cropped(own, rows), self._cropped(others, self.table[rows[:, PARTNER]])
        first, last, left, right = (each[:, None] for each in rows[:, BOX].unbind(1))
        down, along = (torch.arange(side, device=own.device) for side in self.size)
        inside = ((down >= first) & (down < last))[:, None, :, None] & ((along >= left) & (along < right))[
            :, None, None
        ]
        return torch.where(inside, others, own)

    def _cropped(self, x: Tensor, rows: Tensor) -> Tensor:
        """Return images ``(n, C, H, W)`` cropped to the boxes in `rows`, resized (bilinear) and flipped."""
        top, left, height, width = (each[:, None] for each in rows[:, CROP].unbind(1))
        down, along = (torch.arange(side, device=x.device).expand(len(x), side) for side in self.size)
        along = torch.where(rows[:, FLIP, None] > 0, self.size[1] - 1 - along, along)
        orders = rows[:, ORDER:].split(self.tiles, 1)
        member = torch.arange(len(x), device=x.device)[:, None, None, None]
        channel = torch.arange(x.shape[1], device=x.device)[:, None, None]

        def at(row: Tensor, column: Tensor) -> Tensor:
            row, column = self._unshuffled(row, orders[0], 0), self._unshuffled(column, orders[1], 1)
            return x[member, channel, row[:, None, :, None], column[:, None, None, :]]

        if self.whole:
            return at(down, along)
        (above, below, down_share), (before, after, along_share) = (
            _neighbours(down, top, height, self.size[0]),
            _neighbours(along, left, width, self.size[1]),
        )
        right = along_share[:, None, None, :]
        upper = at(above, before).lerp(at(above, after), right)
        return upper.lerp(at(below, before).lerp(at(below, after), right), down_share[:, None, :, None])

    def _unshuffled(self, places: Tensor, order: Tensor, axis: int) -> Tensor:
        """Return from which pixels of the stored image rows or columns come: ``(n, side)``, once tiles are moved."""
        if self.tiles == 1:
            return places
        side = self.size[axis] // self.tiles
        return order.gather(1, places // side) * side + places % side


def _neighbours(places: Tensor, begin: Tensor, length: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the two pixels that each place of a resized crop lies between, and the second one's share.

    Args:
        places: ``(n, side)`` int64, on the resized crop.
        begin, length: ``(n, 1)`` int64, of the crop.
        side: of the resized crop.
    """
    wanted = ((places.float() + 0.5) * (length.float() / side) - 0.5).clamp(min=0)
    first = torch.minimum(wanted.floor(), length - 1)
    second = torch.minimum(first + 1, length - 1)
    return (first.long() + begin), (second.long() + begin), wanted - first


def draw_crop_changes(
    n: int, size: Sequence[int], area: float, flip: bool, tiles: int, draws: torch.Generator
) -> CropChanges:
    """Draw the changes of n images.

    Args:
        n: images.
        size: ``(H, W)`` of each.
        area: the smallest share of an image that a crop shows.
        flip: whether every second image is mirrored, left to right.
        tiles: small images per side of an image, which change places; 1 for ordinary images.
        draws: a CPU generator.

    Source: torchvision's RandomResizedCrop; CutMix of Yun et al. 2019 with alpha 1. Deviates: each image has its own
    box and its own partner, which is any image of the set.
    """
    height, width = size
    crop = _draw_crops(n, (height, width), area, draws)
    mirrored = (torch.rand(n, 1, generator=draws) < 0.5) & flip
    partner = torch.randperm(n, generator=draws)[:, None]
    u = torch.rand(n, 3, generator=draws, dtype=torch.float64)
    box = []
    for k, side in enumerate((height, width)):
        length = ((1 - u[:, 0]).sqrt() * side).long()
        centre = (u[:, k + 1] * side).long()
        # Twice a half: an odd length loses a pixel, as in the programs that mix so.
        box += [(centre - length // 2).clamp(0, side), (centre + length // 2).clamp(0, side)]
    orders = torch.rand(n, 2, tiles, generator=draws).argsort(2).flatten(1)
    table = torch.cat([crop, mirrored, partner, torch.stack(box, 1), orders], 1)
    whole = bool((crop[:, 2] == height).all() and (crop[:, 3] == width).all())
    return CropChanges(table, tiles, (height, width), whole)


def _draw_crops(n: int, size: tuple[int, int], area: float, draws: torch.Generator) -> Tensor:
    """Draw a crop for each of n images: ``(n, 4)`` int64, its top, left, height and width."""
    height, width = size
    u = torch.rand(n, TRIES, 4, generator=draws, dtype=torch.float64)
    pixels = height * width * (area + (1 - area) * u[..., 0])
    ratio = ((2 * u[..., 1] - 1) * math.log(RATIO)).exp()
    high, wide = (pixels / ratio).sqrt().round(), (pixels * ratio).sqrt().round()
    fits = (high >= 1) & (wide >= 1) & (high <= height) & (wide <= width)
    first = fits.byte().argmax(1)
    rows = torch.arange(n)
    high, wide = high[rows, first].long(), wide[rows, first].long()
    top, left = (
        (u[rows, first, k] * (side - one + 1)).floor().long() for k, side, one in ((2, height, high), (3, width, wide))
    )
    drawn = torch.stack([top, left, high, wide], 1)
    full_high, full_wide = min(height, round(width * RATIO)), min(width, round(height * RATIO))
    middle = torch.tensor([(height - full_high) // 2, (width - full_wide) // 2, full_high, full_wide])
    return torch.where(fits.any(1)[:, None], drawn, middle)
