"""How the first block's kernels write and read four channels of a pixel at a time, in channels-last."""

import pytest
import torch

from ddcore.kernels import (
    first_block_backward,
    first_block_forward,
    first_block_tangent,
    first_block_tangent_backward,
)


def draw(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("channels", [8, 6])
def test_both_layouts_hold_the_same_numbers(kernels_run, poisoned, channels):
    draws = draw(2, 1, 4, 5, seed=0), draw(2, channels, 1, 3, 3, seed=1), draw(4, channels, seed=2)
    x, (w, w_t), (gain, gain_t, offset, offset_t) = (each.to(kernels_run) for each in draws)
    up, up_t = draw(2, 2, channels, 2, 2, seed=3).to(kernels_run)
    found = []
    for layout in (torch.contiguous_format, torch.channels_last):
        cotangents = [each.contiguous(memory_format=layout) for each in (up, up_t)]
        y, saved = first_block_forward(x, w, gain, offset, 1, layout=layout)
        both, pairs = first_block_tangent(x, w, w_t, gain, gain_t, offset, offset_t, 1, layout=layout)
        assert all(each.is_contiguous(memory_format=layout) for each in (y, both))
        first = first_block_backward(cotangents[0], saved, gain, offset)
        found.append([y, both, *first, *first_block_tangent_backward(*cotangents, pairs, gain, gain_t, offset)])
    for ours, right in zip(*found, strict=True):
        assert bool(right.isfinite().all())
        torch.testing.assert_close(ours, right, rtol=1e-5, atol=1e-6)
