"""Differentiable Siamese augmentation: one random transformation, the same for real and synthetic members.

Source: Zhao & Bilen 2021, DSA, with its six kinds of transformation and their strengths.
"""

import math

import torch
from torch import Tensor

from ddcore.errors import require
from ddcore.kernels import placed, resample

STRATEGIES = ("colour", "crop", "cutout", "flip", "scale", "rotate")
BRIGHTNESS, SATURATION, CONTRAST = 1.0, 2.0, 0.5
CROP, CUTOUT, SCALE, DEGREES = 0.125, 0.5, 1.2, 15.0


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
    if not names:
        return x
    pick = int(torch.randint(len(names), (), generator=key))
    first, second, third = torch.rand(3, generator=key).tolist()
    name, (height, width) = names[pick], x.shape[2:]
    if name == "colour":
        return _coloured(x, first, second, third)
    if name == "cutout":
        return _cut(x, first, second)
    placing = [torch.tensor([False]), torch.ones(1, 2), torch.zeros(1), torch.zeros(1, 2)]
    if name == "flip":
        placing[0] = torch.tensor([first < 0.5])
    elif name == "crop":
        reach = [round(CROP * side) for side in (height, width)]
        placing[3] = torch.tensor(
            [[math.floor(u * (2 * r + 1)) - r for u, r in zip((first, second), reach, strict=True)]]
        ).float()
    elif name == "scale":
        placing[1] = torch.tensor([[1 / SCALE + u * (SCALE - 1 / SCALE) for u in (first, second)]])
    else:
        placing[2] = torch.tensor([math.radians((2 * first - 1) * DEGREES)])
    return resample(x, placed(*placing).expand(len(x), 2, 3).contiguous())


def _coloured(x: Tensor, brightness: float, saturation: float, contrast: float) -> Tensor:
    x = x + (brightness - 0.5) * BRIGHTNESS
    grey = x.mean(1, keepdim=True)
    x = (x - grey) * (saturation * SATURATION) + grey if x.shape[1] > 1 else x
    middle = x.mean((1, 2, 3), keepdim=True)
    return (x - middle) * (contrast + CONTRAST) + middle


def _cut(x: Tensor, down: float, right: float) -> Tensor:
    mask = torch.ones(x.shape[2:], device=x.device)
    spans = []
    for side, place in zip(x.shape[2:], (down, right), strict=True):
        size = round(side * CUTOUT)
        centre = math.floor(place * (side + 1 - size % 2))
        spans.append(slice(max(0, centre - size // 2), max(0, min(side, centre - size // 2 + size))))
    mask[spans[0], spans[1]] = 0
    return x * mask
