import pytest
import torch
from torch.func import jvp, vjp

from ddcore.kernels import norm_act_pool, norm_act_pool_last

# (N, C, H, W)
CASES = [(2, 3, 4, 4), (3, 2, 8, 6), (1, 1, 2, 2), (2, 1, 2, 4), (2, 5, 6, 2)]


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def case(n, channels, height, width):
    """Return x, gain and offset, their tangents, and two cotangents of the output."""
    values = [draw(n, channels, height, width) + 1, draw(channels, seed=1), draw(channels, seed=2)]
    tangents = [draw(n, channels, height, width, seed=3), draw(channels, seed=4), draw(channels, seed=5)]
    return values, tangents, draw(2, n, channels, height // 2, width // 2, seed=6).unbind()


def last(x):
    return x.permute(0, 2, 3, 1).contiguous()


def pulled(y_c, *values):
    return vjp(norm_act_pool, *values)[1](y_c)


@pytest.mark.parametrize("size", CASES, ids=str)
def test_the_values_and_the_backward_pass_are_those_of_the_definition(size):
    values, _, (up, _) = case(*size)
    x, gain, offset = values
    y, saved = norm_act_pool_last.forward(last(x), gain, offset)
    torch.testing.assert_close(y, last(norm_act_pool(*values)), rtol=1e-12, atol=1e-12)
    x_c, sums = norm_act_pool_last.backward(last(up), saved, gain)
    right = pulled(up, *values)
    for ours, each in zip((x_c, *sums.sum(1)), (last(right[0]), *right[1:]), strict=True):
        torch.testing.assert_close(ours, each, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("size", CASES, ids=str)
def test_the_tangent_and_its_backward_pass_are_those_of_the_definition(size):
    values, tangents, (up, up_t) = case(*size)
    pairs = [each for pair in zip(values[1:], tangents[1:], strict=True) for each in pair]
    both, saved = norm_act_pool_last.tangent(last(torch.cat([values[0], tangents[0]])), *pairs)
    right = torch.cat(jvp(norm_act_pool, tuple(values), tuple(tangents)))
    torch.testing.assert_close(both, last(right), rtol=1e-10, atol=1e-10)
    down, sums = norm_act_pool_last.tangent_backward(last(torch.cat([up_t, up])), saved)
    (x_c, _, _), (x_ct, *right) = jvp(pulled, (up, *values), (up_t, *tangents))
    for ours, each in zip((down, *sums.sum(1)), (last(torch.cat([x_ct, x_c])), *right), strict=True):
        torch.testing.assert_close(ours, each, rtol=1e-9, atol=1e-9)


def test_in_single_precision_the_second_derivative_is_as_good_as_that_of_the_definition(off):
    values, tangents, (up, up_t) = case(4, 8, 16, 16)
    (x_c, *_), (x_ct, *_) = jvp(pulled, (up, *values), (up_t, *tangents))
    right = last(torch.cat([x_ct, x_c]))
    few, moves = ([each.float() for each in group] for group in (values, tangents))
    pairs = [each for pair in zip(few[1:], moves[1:], strict=True) for each in pair]
    _, saved = norm_act_pool_last.tangent(last(torch.cat([few[0], moves[0]])), *pairs)
    down, _ = norm_act_pool_last.tangent_backward(last(torch.cat([up_t, up]).float()), saved)
    assert off(down, right) <= 2e-6


def test_a_constant_plane_stays_finite():
    ones = torch.ones(3)
    both, saved = norm_act_pool_last.tangent(torch.full((4, 4, 4, 3), 7.0), ones, ones, ones, ones)
    assert torch.equal(both[:2], torch.ones(2, 2, 2, 3))
    assert bool(norm_act_pool_last.tangent_backward(both, saved)[0].isfinite().all())
