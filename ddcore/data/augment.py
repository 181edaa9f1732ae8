"""Random augmentation of a batch of images or texts, drawn from the caller's generator.

The operations on images only index: they are differentiable in the pixels, also in forward mode.
"""

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
    n, channels, height, width = x.shape
    down, right = torch.randint(-shift, shift + 1, (2, n, 1), generator=draws)
    mirrored = (torch.rand(n, 1, generator=draws) < 0.5) & flip
    row = torch.arange(height) + down
    column = torch.arange(width)
    column = torch.where(mirrored, width - 1 - column, column) + right
    # The places are reckoned on the host and sent in one piece.
    kept = [each.clamp(0, side - 1) for each, side in ((row, height), (column, width))]
    parts = [*kept, *(each == place for each, place in zip((row, column), kept, strict=True))]
    sent_parts = sent(torch.cat(parts, 1), x.device).split([height, width, height, width], 1)
    row, column, of_rows, of_columns = sent_parts
    member = torch.arange(n, device=x.device)[:, None, None, None]
    channel = torch.arange(channels, device=x.device)[:, None, None]
    moved = x[member, channel, row[:, None, :, None], column[:, None, None, :]]
    inside = (of_rows[:, None, :, None] & of_columns[:, None, None, :]).bool()
    return torch.where(inside, moved, fill)


def cut_out(x: Tensor, side: int, draws: torch.Generator) -> Tensor:
    """Set a square of `side` pixels at a random place to zero (the mean) in each image ``(N, C, H, W)``.

    Source: DeVries & Taylor 2017.
    """
    n, _, height, width = x.shape
    spans = []
    for length in (height, width):
        centre = torch.randint(0, length, (n, 1), generator=draws)
        offset = torch.arange(length) - centre + side // 2
        spans.append((offset >= 0) & (offset < side))
    spans = list(sent(torch.cat(spans, 1), x.device).split([height, width], 1))
    return x.masked_fill(spans[0][:, None, :, None] & spans[1][:, None, None, :], 0.0)


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
