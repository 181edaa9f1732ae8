"""Random augmentation of a batch of images or texts, drawn from the caller's generator.

The operations on images only index: they are differentiable in the pixels, also in forward mode.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ddcore.data.tokens import Tokens
from ddcore.runtime import sent


def shift_and_flip(x: Tensor, shift: int, flip: bool, fill: Tensor, draws: torch.Generator) -> Tensor:
    """Shift each image by up to `shift` pixels in each direction and flip half of them, left to right.

    Args:
        x: ``(N, C, H, W)`` float32.
        shift: pixels; 0 for no shift.
        flip: whether to flip, each image with probability 1/2.
        fill: ``(C, 1, 1)``, value of the pixels that enter at the edge.
        draws: a CPU generator.

    Returns:
        ``(N, C, H, W)``.
    """
    return shifted(x, sent(shift_places(len(x), x.shape[2:], shift, flip, draws), x.device), fill)


def shift_places(n: int, size: Sequence[int], shift: int, flip: bool, draws: torch.Generator) -> Tensor:
    """Draw, on the host, where `shifted` takes the pixels of n images from.

    Args:
        n: images.
        size: ``(H, W)`` of an image.
        shift, flip, draws: as for `shift_and_flip`.

    Returns:
        ``(n, 2 (H + W))`` int64: rows, columns, whether a row is inside of the image, and a column.
    """
    height, width = size
    down, right = torch.randint(-shift, shift + 1, (2, n, 1), generator=draws)
    mirrored = (torch.rand(n, 1, generator=draws) < 0.5) & flip
    row = torch.arange(height) + down
    column = torch.arange(width)
    column = torch.where(mirrored, width - 1 - column, column) + right
    kept = [each.clamp(0, side - 1) for each, side in ((row, height), (column, width))]
    return torch.cat([*kept, *(each == place for each, place in zip((row, column), kept, strict=True))], 1)


def shifted(x: Tensor, places: Tensor, fill: Tensor) -> Tensor:
    """Return images shifted and flipped as `shift_places` drew it.

    Args:
        x: ``(N, C, H, W)`` float32.
        places: of `shift_places`, on the images' device.
        fill: ``(C, 1, 1)``, value of the pixels that enter at the edge.
    """
    _, channels, height, width = x.shape
    row, column, of_rows, of_columns = places.split([height, width, height, width], 1)
    member = torch.arange(len(x), device=x.device)[:, None, None, None]
    channel = torch.arange(channels, device=x.device)[:, None, None]
    moved = x[member, channel, row[:, None, :, None], column[:, None, None, :]]
    inside = (of_rows[:, None, :, None] & of_columns[:, None, None, :]).bool()
    return torch.where(inside, moved, fill)


def cut_places(n: int, size: Sequence[int], side: int, draws: torch.Generator) -> Tensor:
    """Draw, on the host, which rows and columns the squares of n images cover: ``(n, H + W)`` bool."""
    spans = []
    for length in size:
        centre = torch.randint(0, length, (n, 1), generator=draws)
        offset = torch.arange(length) - centre + side // 2
        spans.append((offset >= 0) & (offset < side))
    return torch.cat(spans, 1)


def cut(x: Tensor, places: Tensor) -> Tensor:
    """Return images ``(N, C, H, W)`` with a square set to zero (the mean) in each, as `cut_places` drew it.

    Args:
        x: float32.
        places: of `cut_places`, or 0 and 1 in their place, on the images' device.

    Source: DeVries & Taylor 2017.
    """
    rows, columns = places.bool().split(list(x.shape[2:]), 1)
    return x.masked_fill(rows[:, None, :, None] & columns[:, None, None, :], 0.0)


def random_spans(x: Tokens, length: int, draws: torch.Generator) -> Tokens:
    """Cut each sequence to a random span of at most `length` tokens."""
    lengths = x.lengths
    spans = lengths.clamp(max=length)
    share = torch.rand(len(x), generator=draws, dtype=torch.float64).to(x.device)
    start = x.offsets[:-1] + (share * (lengths - spans + 1)).long()
    offsets = torch.cat([spans.new_zeros(1), spans.cumsum(0)])
    place = torch.arange(int(offsets[-1]), device=x.device) + (start - offsets[:-1]).repeat_interleave(spans)
    return Tokens(x.values[place], offsets)


def mixing(n: int, draws: torch.Generator) -> tuple[float, Tensor]:
    """Draw mixup's weight of the first member, uniform between 1/2 and 1, and the partners: ``(n,)`` int64.

    Source: Zhang et al. 2018 with alpha 1; one weight per batch.
    """
    share = 0.5 + 0.5 * torch.rand((), generator=draws).item()
    return share, torch.randperm(n, generator=draws)
