import pytest
import torch
from exact_block import exact

from ddcore.kernels import first_block_last

# (N, Cin, H, W), the number of channels and the padding.
CASES = [
    ((2, 1, 8, 8), 3, 1),
    ((3, 3, 8, 6), 4, 1),
    ((2, 2, 6, 4), 5, 3),
    ((1, 1, 2, 2), 1, 1),
    ((2, 1, 28, 28), 2, 3),
]


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def case(image, channels, padding):
    """Return x, then w, gain and offset, their tangents, and two cotangents of the output."""
    n, inputs, height, width = image
    values = [draw(channels, inputs, 3, 3, seed=1), draw(channels, seed=2), draw(channels, seed=3)]
    tangents = [draw(channels, inputs, 3, 3, seed=4), draw(channels, seed=5), draw(channels, seed=6)]
    sides = (side // 2 + padding - 1 for side in (height, width))
    return draw(*image) + 0.5, values, tangents, draw(2, n, channels, *sides, seed=7).unbind()


def last(x):
    return x.permute(0, 2, 3, 1).contiguous()


def second(x, values, tangents, cotangents, padding):
    """Return y with y', and the tangents of the cotangents of x, w, gain and offset."""
    both, saved = first_block_last.tangent(x, tuple(values), tuple(tangents), padding)
    pair = last(torch.cat([cotangents[1], cotangents[0]]))
    w_ct, sums, x_ct = first_block_last.tangent_backward(pair, saved, values[1], tangents[1])
    return both, (x_ct, w_ct, *sums.sum(1))


@pytest.mark.parametrize("image, channels, padding", CASES, ids=str)
def test_all_derivatives_are_those_of_the_convolution_and_the_norm(image, channels, padding):
    x, values, tangents, cotangents = case(image, channels, padding)
    (y, y_t), first, right = exact(x, values, tangents, cotangents, padding)
    ours, saved = first_block_last.forward(x, *values, padding)
    torch.testing.assert_close(ours, last(y), rtol=1e-11, atol=1e-11)
    w_c, sums = first_block_last.backward(last(cotangents[0]), saved)
    for found, each in zip((w_c, *sums.sum(1)), first[1:], strict=True):
        torch.testing.assert_close(found, each, rtol=1e-9, atol=1e-9)
    both, found = second(x, values, tangents, cotangents, padding)
    torch.testing.assert_close(both, last(torch.cat([y, y_t])), rtol=1e-9, atol=1e-9)
    for ours, each in zip(found, right, strict=True):
        torch.testing.assert_close(ours, each, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("shift", [0, 100])
def test_single_precision_is_enough_for_bright_images(shift, off):
    x, values, tangents, cotangents = case((3, 1, 16, 16), 8, 1)
    x += shift
    _, _, right = exact(x, values, tangents, cotangents, 1)
    few, moves, ups = ([each.float() for each in group] for group in (values, tangents, cotangents))
    _, found = second(x.float(), few, moves, ups, 1)
    for ours, each in zip(found, right, strict=True):
        assert off(ours, each) <= 3e-6 * max(1, shift)


@pytest.mark.parametrize("value", [0.0, 1.0, 255.0])
def test_an_image_of_one_colour_stays_finite(value):
    _, values, tangents, cotangents = case((2, 1, 8, 8), 3, 1)
    few, moves, ups = ([each.float() for each in group] for group in (values, tangents, cotangents))
    both, found = second(torch.full((2, 1, 8, 8), value), few, moves, ups, 1)
    assert all(bool(each.isfinite().all()) for each in (both, *found))


def test_members_do_not_meet():
    x, values, tangents, cotangents = case((3, 1, 8, 8), 3, 1)
    whole, (x_ct, *_) = second(x, values, tangents, cotangents, 1)
    alone, (one_ct, *_) = second(x[1:2], values, tangents, [each[1:2] for each in cotangents], 1)
    torch.testing.assert_close(whole[[1, 4]], alone, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(x_ct[1:2], one_ct, rtol=1e-11, atol=1e-11)
