"""Crops of real images, and mosaics: several crops in a grid, which is used as one image.

Crops are cut on the CPU and rounded to 8 bits, so that they are the same pixels wherever the rest is computed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

LEAST, MOST = 0.08, 1.0
"""Shares of an image's area, between which a crop's is drawn."""


@dataclass(frozen=True)
class Mosaics:
    """Images of crops, in a grid of ``factor`` x ``factor`` each.

    Attributes:
        table: ``(N, factor**2, 5)`` int64, the crops of each image, row by row of its grid: a training member, and the
            top, left, height and width of a box in it.
    """

    table: Tensor

    def __len__(self) -> int:
        return len(self.table)

    @property
    def factor(self) -> int:
        """Crops per side."""
        return math.isqrt(self.table.shape[1])

    def pixels(self, x: Tensor) -> Tensor:
        """Return the images: ``(N, C, H, W)`` uint8.

        Args:
            x: ``(M, C, H, W)`` uint8, the training members, one of which is read at a time.
        """
        height, width = tile_size(x.shape[2:], self.factor)
        tiles = self._crops(x, (height, width))
        count, side, channels = len(self), self.factor, x.shape[1]
        grid = tiles.view(count, side, side, channels, height, width).permute(0, 3, 1, 4, 2, 5)
        return grid.reshape(count, channels, side * height, side * width)

    def sources(self, x: Tensor) -> Tensor:
        """Return the crops of each image on their own, at the size of a member: ``(N, factor**2, C, H, W)`` uint8.

        The argument is that of `pixels`.
        """
        return self._crops(x, (x.shape[2], x.shape[3])).view(*self.table.shape[:2], *x.shape[1:])

    def _crops(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return torch.stack([cropped(x[member], box, size) for member, *box in self.table.flatten(0, 1).tolist()])


def tile_size(size: Sequence[int], factor: int) -> tuple[int, int]:
    """Return height and width of a crop in a grid of `factor` x `factor` on an image ``(H, W)``."""
    return size[0] // factor, size[1] // factor


def draw_boxes(shape: tuple[int, int], size: Sequence[int], draws: torch.Generator) -> Tensor:
    """Draw crops of the proportions of an image: ``(*shape, 4)`` int64, the top, left, height and width of each.

    The area is uniform between `LEAST` and `MOST` of the image's, the place is uniform, too.

    Args:
        shape: how many.
        size: ``(H, W)`` of the image.
        draws: a CPU generator.

    Source: torchvision's RandomResizedCrop with ratio 1. Deviates: images that are not square keep their proportions.
    """
    u = torch.rand(*shape, 3, generator=draws, dtype=torch.float64)
    share = (LEAST + (MOST - LEAST) * u[..., 0]).sqrt()
    sides = [(share * length).round().clamp(min=1).long() for length in size]
    places = [
        (u[..., k + 1] * (length - side + 1)).floor().long()
        for k, (length, side) in enumerate(zip(size, sides, strict=True))
    ]
    return torch.stack([*places, *sides], -1)


def cropped(image: Tensor, box: Sequence[int], size: tuple[int, int]) -> Tensor:
    """Return a crop, resized by bilinear interpolation with antialias and rounded: ``(C, h, w)`` uint8.

    Args:
        image: ``(C, H, W)`` uint8.
        box: top, left, height and width.
        size: ``(h, w)``.
    """
    top, left, height, width = box
    part = image[None, :, top : top + height, left : left + width].float()
    return F.interpolate(part, size, mode="bilinear", antialias=True)[0].round().clamp(0, 255).byte()


def padded(x: Tensor, size: Sequence[int]) -> Tensor:
    """Return images ``(N, C, h, w)`` in the middle of larger ones of zeros: ``(N, C, H, W)`` for a size of (H, W)."""
    high, wide = size[0] - x.shape[2], size[1] - x.shape[3]
    return F.pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
