"""Multi-formation of IDC: each stored image is a grid of small ones, which are enlarged before they are used.

A stored image ``(C, H, W)`` has F x F tiles of ``H/F x W/F`` pixels, row by row. Enlarging a tile t is linear,
``B t B'``, with the weights B of bilinear interpolation (corners not aligned). So a gradient g in the enlarged image is
``B' g B`` in the tile, and the tile nearest to an image, by least squares, is ``B⁺ image B⁺'``.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from ddcore.errors import require


def decoded(x: Tensor, y: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """Return the images that stored images stand for.

    Class by class, and within a class tile by tile, row by row: all images of the first tile, then all of the second.

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
    images = enlarged(x, factor)
    members = [(y == number).nonzero().flatten() for number in range(int(y.max()) + 1)]
    return torch.cat([images[:, own].flatten(0, 1) for own in members]), torch.cat(
        [y[own].repeat(factor**2) for own in members]
    )


def enlarged(x: Tensor, factor: int) -> Tensor:
    """Return the enlarged tiles of stored images ``(N, C, H, W)``: ``(factor**2, N, C, H, W)``, tile by tile.

    Differentiable; on a GPU the gradient of PyTorch has no fixed order of sums, that of `stored_gradient` has.

    Raises:
        UsageError: the factor does not divide height and width.
    """
    n, channels, height, width = x.shape
    check_factor(factor, height, width)
    tiles = x.reshape(n, channels, factor, height // factor, factor, width // factor).permute(2, 4, 0, 1, 3, 5)
    return F.interpolate(tiles.flatten(0, 2), (height, width), mode="bilinear").unflatten(0, (factor**2, n))


def stored_gradient(up: Tensor, factor: int) -> Tensor:
    """Return the gradient in stored images, given that in their enlarged tiles; the same bits every time.

    Args:
        up: ``(factor**2, N, C, H, W)`` float32.
        factor: tiles per side, which divides height and width.

    Returns:
        ``(N, C, H, W)``.
    """
    rows, columns = (_weights(side // factor, side, up.device) for side in up.shape[3:])
    return _grid(_along(up, rows, columns), factor)


def encoded(images: Tensor, factor: int) -> Tensor:
    """Return the stored images whose enlarged tiles are nearest to images, by least squares.

    Of what `enlarged` returned these are the stored images, to the rounding of float32.

    Args:
        images: ``(factor**2, N, C, H, W)`` floats, tile by tile.
        factor: tiles per side.

    Returns:
        ``(N, C, H, W)`` of the same dtype.

    Raises:
        UsageError: the factor does not divide height and width.
    """
    check_factor(factor, *images.shape[3:])
    shares = [_weights(side // factor, side, torch.device("cpu")).double() for side in images.shape[3:]]
    rows, columns = (torch.linalg.pinv(share.T).to(images.device) for share in shares)
    return _grid(_along(images.double(), rows, columns), factor).to(images.dtype)


def slots_of(y: Tensor, factor: int) -> Tensor:
    """Return the places of the members that share a stored image: ``(factor**2, S)`` int64, tile by tile.

    The stored images stand class by class. Within a class the members stand as `decoded` returns them: first those of
    the first tile.

    Args:
        y: ``(S * factor**2,)`` int64, the classes of the members.
        factor: tiles per side.

    Raises:
        UsageError: the members of a class are not those of whole stored images.
    """
    members = [(y == number).nonzero().flatten() for number in range(int(y.max()) + 1)]
    whole = all(len(own) % factor**2 == 0 for own in members)
    require(whole, f"the members of a class do not fill stored images of {factor}x{factor} tiles")
    return torch.cat([own.view(factor**2, -1) for own in members], 1)


def check_factor(factor: int, height: int, width: int) -> None:
    """Refuse a factor that does not divide the sides of images.

    Raises:
        UsageError: the line names the size.
    """
    require(
        factor >= 1 and height % factor == 0 and width % factor == 0,
        f"--factor {factor} does not divide images of {height}x{width}",
    )


@lru_cache(maxsize=32)
def _weights(small: int, large: int, device: torch.device) -> Tensor:
    """Return the share that each of `small` pixels in a row has in each of `large` ones: ``(small, large)`` float32.

    It is kept: a copy to a GPU makes the host wait.
    """
    return F.interpolate(torch.eye(small)[None], large, mode="linear")[0].to(device)


def _along(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return ``rows @ image @ columns'`` of images ``(..., H, W)``, for ``(h, H)`` and ``(w, W)``."""
    return ((images @ columns.T).transpose(-2, -1) @ rows.T).transpose(-2, -1)


def _grid(tiles: Tensor, factor: int) -> Tensor:
    """Return images ``(N, C, H, W)`` of tiles ``(factor**2, N, C, H / factor, W / factor)``."""
    _, n, channels, height, width = tiles.shape
    placed = tiles.unflatten(0, (factor, factor)).permute(2, 3, 0, 4, 1, 5)
    return placed.reshape(n, channels, factor * height, factor * width)
