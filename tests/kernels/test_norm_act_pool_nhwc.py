"""The norm's kernels on planes in channels-last, where a program takes neighbouring channels of one sample."""

import pytest
import torch
from torch.func import jvp, vjp

from ddcore.kernels import (
    norm_act_pool,
    norm_act_pool_backward,
    norm_act_pool_forward,
    norm_act_pool_tangent,
    norm_act_pool_tangent_backward,
)
from ddcore.kernels import norm_act_pool_nhwc_triton as nhwc
from ddcore.kernels import norm_act_pool_triton as fast

# Sizes with the number of channels: less than a sector of memory, one more than a program takes, several programs.
SIZES = [
    ((32, 32), 3),
    ((14, 14), 17),
    ((8, 8), 64),
    ((7, 7), 33),
    ((2, 2), 3),
    ((3, 2), 33),
    ((5, 7), 5),
    ((4, 9), 32),
]
LAST, FIRST = torch.channels_last, torch.contiguous_format


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def case(size, channels=3, n=2):
    """Return x, gain, offset, their tangents, and two cotangents of the pooled output, in float64."""
    values = [draw(n, channels, *size) * 3 + 1, draw(channels, seed=1), draw(channels, seed=2)]
    tangents = [draw(n, channels, *size, seed=3), draw(channels, seed=4), draw(channels, seed=5)]
    sides = [side // 2 for side in size]
    return values, tangents, [draw(n, channels, *sides, seed=6), draw(n, channels, *sides, seed=7)]


def laid(layout, device, *tensors):
    """Return tensors in float32, those of planes in this layout."""
    single = [each.to(device, torch.float32) for each in tensors]
    return [each.contiguous(memory_format=layout) if each.ndim == 4 else each for each in single]


def passes(values, tangents, cotangents, pool=True):
    """Return what the four operations compute."""
    (x, gain, offset), (x_t, gain_t, offset_t), (up, up_t) = values, tangents, cotangents
    y, saved = norm_act_pool_forward(x, gain, offset, pool=pool)
    first = norm_act_pool_backward(up, saved, gain, offset)
    both, saved = norm_act_pool_tangent(x, x_t, gain, gain_t, offset, offset_t, pool=pool)
    return [y, *first, both, saved.stats, *norm_act_pool_tangent_backward(up, up_t, saved, gain, gain_t, offset)]


def exact(values, tangents, cotangents, pool=True):
    """Return the same by torch.func, without the statistics."""

    def block(*given):
        return norm_act_pool(*given, pool=pool)

    def pulled(y_c, *given):
        return vjp(block, *given)[1](y_c)

    y, y_t = jvp(block, tuple(values), tuple(tangents))
    first, second = jvp(pulled, (cotangents[0], *values), (cotangents[1], *tangents))
    return y, torch.cat([y, y_t]), first, second


def lies_last(x):
    return x.is_contiguous(memory_format=LAST)


@pytest.mark.parametrize("pool", [True, False], ids=["pooled", "whole"])
@pytest.mark.parametrize("size, channels", SIZES, ids=str)
def test_all_four_kernels_compute_what_the_definition_says(kernels_run, poisoned, off, size, channels, pool):
    *given, cotangents = case(size, channels)
    if not pool:
        cotangents = [draw(2, channels, *size, seed=8), draw(2, channels, *size, seed=9)]
    y, pair, first, second = exact(*given, cotangents, pool)
    ours, x_c, sums, both, _, down, sums_t = passes(
        *(laid(LAST, kernels_run, *each) for each in (*given, cotangents)), pool
    )
    assert all(map(lies_last, (ours, x_c, both, down)))
    assert off(ours, y) <= 2e-6 and off(both, pair) <= 2e-6
    # Sums of a thousand numbers of both signs.
    for found, right in zip((x_c, *sums.sum(1)), first, strict=True):
        assert off(found, right) <= 5e-6
    for found, right in zip((down[:2], *sums_t.sum(1)), second, strict=True):
        assert off(found, right) <= 5e-6
    assert off(down[2:], first[0]) <= 2e-6


def test_it_is_the_layout_that_decides_on_the_kernel(kernels_run):
    for layout in (LAST, FIRST):
        (x, *_) = laid(layout, kernels_run, draw(2, 20, 6, 6))
        kernel, _ = fast.sizes("forward", x, True)
        assert kernel is (nhwc if layout == LAST else fast).forward_kernel


@pytest.mark.parametrize("channels", [1, 4])
def test_a_program_takes_any_number_of_channels_and_the_last_one_the_rest(kernels_run, poisoned, monkeypatch, channels):
    monkeypatch.setattr(nhwc, "launch_of", lambda *_: (channels, 1))
    found = []
    for layout in (LAST, FIRST):
        found.append(passes(*(laid(layout, kernels_run, *each) for each in case((5, 7), 6, 1))))
    for ours, right in zip(*found, strict=True):
        torch.testing.assert_close(ours, right)


def test_the_order_of_programs_does_not_matter(kernels_run, poisoned, backwards):
    given = [laid(LAST, kernels_run, *each) for each in case((4, 5), 17, 2)]
    found = []
    for turn in (lambda: None, backwards):
        turn()
        found.append(passes(*given))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_cotangents_and_tangents_may_lie_otherwise(kernels_run):
    last, first = ([laid(layout, kernels_run, *each) for each in case((6, 6), 10)] for layout in (LAST, FIRST))
    mixed = last[0], first[1], first[2]
    assert all(map(torch.equal, passes(*last), passes(*mixed)))


def test_outputs_may_be_contiguous_as_a_classifier_takes_them(kernels_run, poisoned):
    values, tangents, _ = (laid(LAST, kernels_run, *each) for each in case((5, 7), 10))
    pairs = [each for pair in zip(values, tangents, strict=True) for each in pair]
    for pool in (True, False):
        ours, right = (norm_act_pool_forward(*values, pool=pool, layout=layout)[0] for layout in (FIRST, None))
        assert ours.is_contiguous() and lies_last(right) and torch.equal(ours, right)
        ours, right = (norm_act_pool_tangent(*pairs, pool=pool, layout=layout)[0] for layout in (FIRST, LAST))
        assert ours.is_contiguous() and lies_last(right) and torch.equal(ours, right)


def test_planes_that_registers_do_not_hold_are_computed_contiguously(kernels_run):
    values, *_ = case((34, 32), 9, 1)
    y, saved = norm_act_pool_forward(*laid(LAST, kernels_run, *values))
    assert saved.x.is_contiguous() and y.is_contiguous()


def test_halves_are_summed_in_single_precision(kernels_run, off):
    values, *_ = case((8, 8), 20)
    x, *others = (each.to(torch.bfloat16) for each in values)
    right = norm_act_pool(*(each.double() for each in (x, *others)))
    x = x.contiguous(memory_format=LAST).to(kernels_run)
    ours, saved = norm_act_pool_forward(x, *(each.to(kernels_run) for each in others))
    assert ours.dtype == torch.bfloat16 and saved.stats.dtype == torch.float32 and lies_last(ours)
    assert off(ours, right) <= torch.finfo(torch.bfloat16).eps


def test_autograd_differentiates_them_twice(kernels_run, off):
    values, *_ = case((5, 6), 10)
    given = [each.requires_grad_() for each in laid(LAST, kernels_run, *values)]
    found = []
    for tensors in (given, [each.clone().requires_grad_() for each in values]):
        slopes = torch.autograd.grad(norm_act_pool(*tensors).pow(3).sum(), tensors, create_graph=True)
        found.append(torch.autograd.grad(sum((s * s).sum() for s in slopes), tensors))
    for ours, each in zip(*found, strict=True):
        assert float(each.abs().max()) > 0 and off(ours, each) <= 2e-5
