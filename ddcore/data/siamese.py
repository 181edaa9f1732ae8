"""Differentiable Siamese augmentation: one random transformation, the same for real and synthetic members.

Source: Zhao & Bilen 2021, DSA, with its six kinds of transformation and their strengths.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ddcore.errors import require
from ddcore.kernels import placed, reach_of, resample
from ddcore.runtime import sent

STRATEGIES = ("colour", "crop", "cutout", "flip", "scale", "rotate")
BRIGHTNESS, SATURATION, CONTRAST = 1.0, 2.0, 0.5
CROP, CUTOUT, SCALE, DEGREES = 0.125, 0.5, 1.2, 15.0
# The columns of a table of transformations: the map (A | t), the shift of brightness, what saturation and contrast
# exceed 1 by; then the rows and the columns of an image that are cut out.
MAP, SHIFT, SATURATED, CONTRASTED, CUT = slice(0, 6), slice(6, 7), slice(7, 8), slice(8, 9), 9


def strategies(text: str) -> tuple[str, ...]:
    """Return the kinds of transformation in a comma-separated text; none for ``none``.

    Raises:
        UsageError: a name is unknown.
    """
    names = () if text == "none" else tuple(part.strip() for part in text.split(","))
    for name in names:
        require(name in STRATEGIES, f"--augment: '{name}' is unknown; known: {', '.join(STRATEGIES)}, or none")
    return names


def augmented(x: Tensor, names: tuple[str, ...], key: torch.Generator) -> Tensor:
    """Return all images under one random transformation.

    A generator in the same state gives the same transformation for any number of images.

    Args:
        x: ``(N, C, H, W)`` float32, normalised.
        names: of `STRATEGIES`, to draw one from; none for no transformation.
        key: a CPU generator.
    """
    return drawn(names, x.shape, [key]).to(x.device).of_all(x) if names else x


@dataclass(frozen=True)
class Changes:
    """K transformations.

    Attributes:
        kinds: of each: of `STRATEGIES`.
        table: ``(K, 9 + H + W)`` float32: the numbers of each, those of other kinds such that nothing changes.
        reach: of the maps, see `reach_of`.
    """

    kinds: tuple[str, ...]
    table: Tensor
    reach: int

    def to(self, device: torch.device | str) -> "Changes":
        """Return the same with the table on a device, without waiting for it."""
        return replace(self, table=sent(self.table, device))

    def of_all(self, x: Tensor) -> Tensor:
        """Return all images ``(N, C, H, W)`` under the one transformation."""
        return _changed(x, self, self.table, [len(x)])

    def together(self, x: Tensor, of: Tensor, lots: Sequence[int]) -> Tensor:
        """Return images, each under its own transformation, in one go: what a GPU is quick at.

        Args:
            x: ``(N, C, H, W)`` float32, normalised, transformation after transformation.
            of: ``(N,)`` int64, the transformation of each.
            lots: whose sum is N: images over which means are taken in one call. What is computed for an image depends
                on the size of its lot and not on other lots.
        """
        return _changed(x, self, self.table[of], lots)

    def in_turn(self, x: Tensor, counts: Sequence[int]) -> Tensor:
        """Return the same as `together`, one transformation after the other: what a CPU is quick at.

        Args:
            x: ``(N, C, H, W)`` float32, normalised, transformation after transformation.
            counts: K, images of each transformation.
        """
        parts = zip(x.split(list(counts)), self.kinds, self.table.split(1), strict=True)
        return torch.cat([replace(self, kinds=(kind,), table=row).of_all(part) for part, kind, row in parts])


def drawn(names: tuple[str, ...], shape: Sequence[int], keys: Sequence[torch.Generator]) -> Changes:
    """Return a random transformation for each key.

    Args:
        names: of `STRATEGIES`, to draw one from.
        shape: ``(..., H, W)`` of the images.
        keys: CPU generators.
    """
    height, width = shape[-2:]
    kinds = []
    table = torch.zeros(len(keys), CUT + height + width)
    flips, scales, angles, shifts = [], [], [], []
    for row, key in zip(table, keys, strict=True):
        name = names[int(torch.randint(len(names), (), generator=key))]
        first, second, third = torch.rand(3, generator=key).tolist()
        flip, scale, angle, shift = False, [1.0, 1.0], 0.0, [0.0, 0.0]
        if name == "colour":
            row[SHIFT] = (first - 0.5) * BRIGHTNESS
            row[SATURATED] = second * SATURATION - 1
            row[CONTRASTED] = third + CONTRAST - 1
        elif name == "cutout":
            row[CUT : CUT + height][span(height, first)] = 1
            row[CUT + height :][span(width, second)] = 1
        elif name == "flip":
            flip = first < 0.5
        elif name == "crop":
            reach = [round(CROP * side) for side in (height, width)]
            shift = [float(math.floor(u * (2 * r + 1)) - r) for u, r in zip((first, second), reach, strict=True)]
        elif name == "scale":
            scale = [1 / SCALE + u * (SCALE - 1 / SCALE) for u in (first, second)]
        else:
            angle = math.radians((2 * first - 1) * DEGREES)
        kinds.append(name)
        flips.append(flip)
        scales.append(scale)
        angles.append(angle)
        shifts.append(shift)
    maps = placed(torch.tensor(flips), torch.tensor(scales), torch.tensor(angles), torch.tensor(shifts))
    table[:, MAP] = maps.flatten(1)
    return Changes(tuple(kinds), table, reach_of(maps))


def span(side: int, place: float) -> slice:
    """Return the pixels of a side that are cut out."""
    size = round(side * CUTOUT)
    centre = math.floor(place * (side + 1 - size % 2))
    return slice(max(0, centre - size // 2), max(0, min(side, centre - size // 2 + size)))


def _changed(x: Tensor, changes: Changes, rows: Tensor, lots: Sequence[int]) -> Tensor:
    """Return images under the transformations in the rows of a table: one for each image, or one for all."""
    kinds = set(changes.kinds)
    if kinds - {"colour", "cutout"}:
        x = resample(x, rows[:, MAP].reshape(-1, 2, 3), changes.reach)
    if "colour" in kinds:
        x = _coloured(x, rows[:, :, None, None], lots)
    if "cutout" in kinds:
        height = x.shape[2]
        cut = rows[:, None, CUT : CUT + height, None] * rows[:, None, None, CUT + height :]
        x = x * (1 - cut)
    return x


def _coloured(x: Tensor, rows: Tensor, lots: Sequence[int]) -> Tensor:
    """Return images, each with its saturation, contrast and brightness changed; without a change the same bits."""
    if x.shape[1] > 1:
        x = torch.addcmul(x, x - x.mean(1, keepdim=True), rows[:, SATURATED])
    # Saturation leaves the mean where it was.
    means = [part.mean((1, 2, 3), keepdim=True) for part in x.split(list(lots))]
    middle = means[0] if len(means) == 1 else torch.cat(means)
    return torch.addcmul(x, x - middle, rows[:, CONTRASTED]) + rows[:, SHIFT]
