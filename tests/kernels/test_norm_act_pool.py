import math

import pytest
import torch
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.func import jvp, vjp

from ddcore.kernels import (
    norm_act_pool,
    norm_act_pool_backward,
    norm_act_pool_forward,
    norm_act_pool_tangent,
    norm_act_pool_tangent_backward,
)
from ddcore.kernels.norm_act_pool import NormActPool


def inputs(*shape):
    g = torch.Generator().manual_seed(1)
    x = torch.randn(shape, generator=g, dtype=torch.float64)
    gain, offset = torch.randn(2, shape[1], generator=g, dtype=torch.float64)
    return tuple(t.clone().requires_grad_() for t in (x, gain, offset))


def test_one_plane_by_hand():
    x = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])
    y = norm_act_pool(x, torch.tensor([2.0]), torch.tensor([0.5]), eps=0.0)
    deviation = math.sqrt((4 + 1 + 0 + 9) / 4)
    by_hand = sum(max(0.0, 2 * (v - 3) / deviation + 0.5) for v in (1, 2, 3, 6)) / 4
    assert y.shape == (1, 1, 1, 1)
    assert y.item() == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("pool", [True, False])
def test_without_a_graph_it_gives_the_same(pool):
    draws = torch.Generator().manual_seed(3)
    x = torch.randn(3, 4, 7, 6, generator=draws, dtype=torch.float64)
    gain, offset = torch.randn(2, 4, generator=draws, dtype=torch.float64)
    with_graph = norm_act_pool(x.clone().requires_grad_(), gain, offset, pool=pool)
    before = x.clone()
    with torch.no_grad():
        torch.testing.assert_close(norm_act_pool(x, gain, offset, pool=pool), with_graph.detach())
    assert with_graph.requires_grad and torch.equal(x, before), "the input is not written over"


def test_equals_the_elementary_definition_on_odd_planes():
    x, gain, offset = inputs(2, 3, 7, 5)
    centred = x - x.mean((2, 3), keepdim=True)
    z = centred / (centred.square().mean((2, 3), keepdim=True) + 1e-5).sqrt()
    z = (z * gain[:, None, None] + offset[:, None, None]).clamp(min=0)
    wanted = z[:, :, :6, :4].reshape(2, 3, 3, 2, 2, 2).mean((3, 5))
    assert torch.allclose(norm_act_pool(x, gain, offset), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [2, 5])
def test_first_and_second_derivatives(size):
    tensors = inputs(2, 2, size, size)
    assert gradcheck(norm_act_pool, tensors, check_forward_ad=True)
    assert gradgradcheck(norm_act_pool, tensors)


@pytest.mark.parametrize("pool", [True, False], ids=["pooled", "whole"])
def test_the_function_that_autograd_sees_on_a_gpu_has_both_derivatives(pool):
    tensors = inputs(2, 2, 4, 5)

    def block(*tensors):
        return NormActPool.apply(*tensors, 1e-5, pool)[0]

    assert gradcheck(block, tensors, check_forward_ad=True)
    assert gradgradcheck(block, tensors)
    along = tuple(t.detach().flip(0) for t in tensors)

    def gradient(*tensors):
        return torch.func.grad(lambda *each: block(*each).pow(2).sum(), argnums=(0, 1, 2))(*tensors)

    still = tuple(t.detach() for t in tensors)
    forward, reverse = jvp(gradient, still, along)[1], vjp(gradient, *still)[1](along)
    torch.testing.assert_close(forward, reverse, rtol=1e-9, atol=1e-9)


def test_forward_over_reverse_equals_double_reverse():
    x, gain, offset = inputs(2, 2, 4, 4)
    v = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def gradient(x):
        return torch.autograd.grad(norm_act_pool(x, gain, offset).pow(2).sum(), x, create_graph=True)[0]

    with forward_ad.dual_level():
        forward = forward_ad.unpack_dual(gradient(forward_ad.make_dual(x, v))).tangent
    reverse = torch.autograd.grad(gradient(x), x, v)[0]
    assert torch.allclose(forward, reverse, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "x, gain, offset",
    [
        (torch.zeros(2, 3, 4), torch.ones(3), torch.ones(3)),
        (torch.zeros(2, 3, 1, 4), torch.ones(3), torch.ones(3)),
        (torch.zeros(2, 3, 4, 4), torch.ones(2), torch.ones(3)),
        (torch.zeros(2, 3, 4, 4), torch.ones(3), torch.ones(3, dtype=torch.float64)),
    ],
)
def test_wrong_shapes_and_dtypes_are_refused(x, gain, offset):
    for op in (norm_act_pool, norm_act_pool_forward):
        with pytest.raises(ValueError, match="must be"):
            op(x, gain, offset)


def test_a_tangent_of_another_shape_is_refused():
    x, ones = torch.zeros(2, 3, 4, 4), torch.ones(3)
    with pytest.raises(ValueError, match=r"^x_t must be"):
        norm_act_pool_tangent(x, x[:1], ones, ones, ones, ones)


@pytest.mark.parametrize("size", [(4, 4), (7, 7), (5, 6), (6, 5)], ids=str)
def test_the_backward_pass_by_hand_is_autograds(size):
    x, gain, offset = inputs(3, 2, *size)
    y, saved = norm_act_pool_forward(x.detach(), gain.detach(), offset.detach())
    wanted = norm_act_pool(x, gain, offset)
    torch.testing.assert_close(y, wanted.detach(), rtol=1e-12, atol=1e-12)
    y_c = torch.randn(y.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    right = torch.autograd.grad(wanted, (x, gain, offset), y_c)
    x_c, sums = norm_act_pool_backward(y_c, saved, gain.detach(), offset.detach())
    for found, each in zip((x_c, *sums.sum(1)), right, strict=True):
        torch.testing.assert_close(found, each, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("size", [(4, 4), (7, 7), (5, 6)], ids=str)
def test_the_tangent_and_its_backward_are_torchs(size):
    x, gain, offset = (t.detach() for t in inputs(3, 2, *size))
    x_t, gain_t, offset_t = (t.detach().flip(0) + 0.3 for t in inputs(3, 2, *size))
    both, saved = norm_act_pool_tangent(x, x_t, gain, gain_t, offset, offset_t)
    y, y_t = both.tensor_split(2)
    wanted, wanted_t = jvp(norm_act_pool, (x, gain, offset), (x_t, gain_t, offset_t))
    torch.testing.assert_close(y, wanted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(y_t, wanted_t, rtol=1e-12, atol=1e-12)
    y_c, y_ct = torch.randn(2, *y.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4))

    def cotangents(y_c, *tensors):
        return vjp(norm_act_pool, *tensors)[1](y_c)

    (x_c, _, _), (x_ct, gain_ct, offset_ct) = jvp(cotangents, (y_c, x, gain, offset), (y_ct, x_t, gain_t, offset_t))
    down, sums = norm_act_pool_tangent_backward(y_c, y_ct, saved, gain, gain_t, offset)
    for found, right in zip((down, *sums.sum(1)), (torch.cat([x_ct, x_c]), gain_ct, offset_ct), strict=True):
        torch.testing.assert_close(found, right, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("named", ["y_c", "y_ct"])
def test_a_cotangent_of_another_shape_is_refused(named):
    (x, gain, offset), up = (t.detach() for t in inputs(2, 3, 6, 6)), torch.zeros(2, 3, 3, 3, dtype=torch.float64)
    _, saved = norm_act_pool_tangent(x, x, gain, gain, offset, offset)
    given = {"y_c": up, "y_ct": up, named: up[:1]}
    with pytest.raises(ValueError, match=f"^{named} must be"):
        norm_act_pool_tangent_backward(**given, saved=saved, gain=gain, gain_t=gain, offset=offset)
