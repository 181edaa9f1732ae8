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
from ddcore.kernels import norm_act_pool_triton as fast

SIZES = [(32, 32), (28, 28), (16, 16), (14, 14), (8, 8), (7, 7), (2, 2), (3, 2), (5, 7), (4, 9)]
NAMES = ("x", "gain", "offset")


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def case(size, n=2, channels=3):
    """Return x, gain, offset, their tangents, and two cotangents of the pooled output, in float64."""
    values = [draw(n, channels, *size) * 3 + 1, draw(channels, seed=1), draw(channels, seed=2)]
    tangents = [draw(n, channels, *size, seed=3), draw(channels, seed=4), draw(channels, seed=5)]
    return values, tangents


def plain(x, gain, offset, pool=True):
    """The definition, which stays on PyTorch's operations whatever KERNELS says, for it is in float64."""
    return norm_act_pool(x, gain, offset, pool=pool)


def cast(tensors, device, dtype=torch.float32):
    return [t.to(device, dtype) for t in tensors]


KERNELS = ("forward", "backward", "tangent", "tangent_backward")


@pytest.fixture
def spread(monkeypatch):
    """A function that sets the planes of every program, whatever their size."""

    def set_planes(planes):
        monkeypatch.setattr(fast, "LAUNCHES", {(kernel, 2**k): (planes, 1) for kernel in KERNELS for k in range(9)})

    return set_planes


@pytest.mark.parametrize("pool", [True, False], ids=["pooled", "whole"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_all_four_kernels_compute_what_the_definition_says(kernels_run, poisoned, size, pool, off):
    values, tangents = case(size)
    y, y_t = jvp(lambda *given: plain(*given, pool=pool), tuple(values), tuple(tangents))
    y_c, y_ct = draw(*y.shape, seed=6), draw(*y.shape, seed=7)

    def cotangents(y_c, *given):
        return vjp(lambda *each: plain(*each, pool=pool), *given)[1](y_c)

    first, second = jvp(cotangents, (y_c, *values), (y_ct, *tangents))
    (x, gain, offset), (x_t, gain_t, offset_t) = cast(values, kernels_run), cast(tangents, kernels_run)
    up, up_t = cast((y_c, y_ct), kernels_run)
    ours, saved = norm_act_pool_forward(x, gain, offset, pool=pool)
    assert saved.cut is None and off(ours, y) <= 2e-6
    x_c, sums = norm_act_pool_backward(up, saved, gain, offset)
    for name, found, right in zip(NAMES, (x_c, *sums.sum(1)), first, strict=True):
        # Sums of a thousand numbers of both signs.
        assert off(found, right) <= 5e-6, name
    both, saved = norm_act_pool_tangent(x, x_t, gain, gain_t, offset, offset_t, pool=pool)
    assert off(both, torch.cat([y, y_t])) <= 2e-6
    down, sums = norm_act_pool_tangent_backward(up, up_t, saved, gain, gain_t, offset)
    assert off(down[: len(x)], second[0]) <= 2e-6 and off(down[len(x) :], first[0]) <= 2e-6
    for found, right in zip(sums.sum(1), second[1:], strict=True):
        assert off(found, right) <= 5e-6


def test_one_member_and_strided_inputs(kernels_run, off):
    (_, gain, offset), _ = case((8, 8), n=1)
    wide = torch.randn(1, 8, 8, 6, generator=torch.Generator().manual_seed(8))
    strided = wide.permute(0, 3, 1, 2)[:, ::2].to(kernels_run)
    g, b = cast((gain, offset), kernels_run)
    ours, _ = norm_act_pool_forward(strided, g, b)
    assert off(ours, plain(strided.double().cpu(), gain, offset)) <= 2e-6


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_are_summed_in_single_precision(kernels_run, dtype, off):
    values, _ = case((16, 16))
    given = [t.to(dtype) for t in values]
    right = plain(*(t.double() for t in given))
    ours, saved = norm_act_pool_forward(*(t.to(kernels_run) for t in given))
    assert ours.dtype == dtype and saved.stats.dtype == torch.float32
    assert off(ours, right) <= torch.finfo(dtype).eps


def test_autograd_differentiates_them_twice(kernels_run, off):
    values, _ = case((5, 6))
    given = [t.requires_grad_() for t in cast(values, kernels_run)]
    right = [t.clone().requires_grad_() for t in values]
    found = []
    for tensors in (given, right):
        slopes = torch.autograd.grad(norm_act_pool(*tensors).pow(3).sum(), tensors, create_graph=True)
        found.append(torch.autograd.grad(sum((s * s).sum() for s in slopes), tensors))
    for name, ours, each in zip(NAMES, *found, strict=True):
        assert float(each.abs().max()) > 0 and off(ours, each) <= 2e-5, name


@pytest.mark.parametrize("planes", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [(8, 8), (5, 7)], ids=str)
def test_a_program_takes_any_number_of_planes_and_the_last_one_the_rest(kernels_run, poisoned, spread, size, planes):
    (x, gain, offset), (x_t, gain_t, offset_t) = (cast(each, kernels_run) for each in case(size))
    found = []
    for each in (planes, 16):
        spread(each)
        y, saved = norm_act_pool_forward(x, gain, offset)
        first = norm_act_pool_backward(y, saved, gain, offset)
        both, saved = norm_act_pool_tangent(x, x_t, gain, gain_t, offset, offset_t)
        y, y_t = both.tensor_split(2)
        second = norm_act_pool_tangent_backward(y, y_t, saved, gain, gain_t, offset)
        found.append((y, *first, both, saved.stats, *second))
    for ours, right in zip(*found, strict=True):
        torch.testing.assert_close(ours, right)


def test_the_order_of_programs_does_not_matter(kernels_run, poisoned, spread, backwards):
    (x, gain, offset), (x_t, gain_t, offset_t) = (cast(each, kernels_run) for each in case((4, 5)))
    spread(2)
    found = []
    for turn in (lambda: None, backwards):
        turn()
        both, saved = norm_act_pool_tangent(x, x_t, gain, gain_t, offset, offset_t)
        y, y_t = both.tensor_split(2)
        found.append((both, saved.stats, *norm_act_pool_tangent_backward(y, y_t, saved, gain, gain_t, offset)))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_the_same_bits_twice(kernels_run):
    (x, gain, offset), (x_t, gain_t, offset_t) = (cast(each, kernels_run) for each in case((7, 7)))
    results = []
    for _ in range(2):
        both, saved = norm_act_pool_tangent(x, x_t, gain, gain_t, offset, offset_t)
        y, y_t = both.tensor_split(2)
        results.append((both, *norm_act_pool_tangent_backward(y, y_t, saved, gain, gain_t, offset)))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_a_row_holds_what_is_pooled_and_the_edge_lies_behind():
    assert fast.sizes("forward", torch.empty(2, 3, 7, 7), True)[1]["BLOCK_QUADS"] == 16
    assert fast.sizes("forward", torch.empty(2, 3, 32, 32), False)[1]["BLOCK_QUADS"] == 256


def test_only_planes_that_do_not_fit_into_registers_are_read_in_tiles():
    for side, rows in ((64, None), (66, 1089), (225, 112 * 112 + 113)):
        kernel, constants = fast.sizes("tangent", torch.empty(1, 1, side, side), True)
        assert constants.get("ROWS") == rows
        assert kernel is fast.KERNELS["tangent"][rows is not None]
