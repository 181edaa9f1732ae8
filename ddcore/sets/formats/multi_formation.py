"""Multi-formation of IDC: each stored image is a grid of small ones, which are enlarged before they are used."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ddcore.errors import require


def decoded(x: Tensor, y: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """Return the images that stored images stand for.

    Class by class, and within a class tile by tile, row by row: all images of the first tile, then all of the second.
    Each tile is enlarged to the whole size by bilinear interpolation (corners not aligned).

    Args:
        x: ``(N, C, H, W)`` floats.
        y: ``(N,)`` int64.
        factor: tiles per side; 1 returns what was given.

    Returns:
        ``(N * factor**2, C, H, W)`` and ``(N * factor**2,)``, of the same dtypes.

    Raises:
        UsageError: the factor does not divide height and width.

    Source: Kim et al. 2022, ``decode_zoom`` of snu-mllab/Efficient-Dataset-Condensation. Deviates: where the factor
    does not divide the side, that function fills up with grey; here this is refused, because the file does not say it.
    """
    if factor == 1:
        return x, y
    height, width = x.shape[2:]
    require(
        factor >= 1 and height % factor == 0 and width % factor == 0,
        f"--factor {factor} does not divide images of {height}x{width}",
    )
    high, wide = height // factor, width // factor
    images, labels = [], []
    for number in range(int(y.max()) + 1):
        own = x[y == number]
        for tile in range(factor**2):
            top, left = tile // factor * high, tile % factor * wide
            part = own[:, :, top : top + high, left : left + wide]
            images.append(
                F.interpolate(part, (height, width), mode="bilinear") if len(own) else part.new_empty(0, *x.shape[1:])
            )
            labels.append(y.new_full((len(own),), number))
    return torch.cat(images), torch.cat(labels)
