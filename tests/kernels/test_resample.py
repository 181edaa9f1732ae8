import math

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.func import jvp
from torch.nn import functional as F

from ddcore.kernels import placed, resample

SIZES = [(1, 8, 8), (3, 7, 5), (2, 32, 32), (1, 28, 28)]


def images(n, *shape):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(n), dtype=torch.float64)


def maps(n, seed=0):
    """Return maps as augmentation draws them, and a few wilder ones."""
    draws = torch.Generator().manual_seed(seed)
    flip = torch.rand(n, generator=draws) < 0.5
    scale = 2 ** (torch.rand(n, 2, generator=draws) * 1.5 - 0.75)
    angle = (torch.rand(n, generator=draws) - 0.5) * 2
    return placed(flip, scale, angle, (torch.rand(n, 2, generator=draws) - 0.5) * 6)


def still(n):
    return placed(torch.zeros(n, dtype=torch.bool), torch.ones(n, 2), torch.zeros(n), torch.zeros(n, 2))


def by_grid_sample(x, turn):
    height, width = x.shape[2:]
    size = torch.tensor([height, width], dtype=torch.float64)
    a, t = turn[:, :, :2].double(), turn[:, :, 2].double()
    # From pixels about the middle to halves of the image, x before y.
    scaled = torch.cat([a * size[None, None] / size[None, :, None], (2 * t / size)[:, :, None]], 2)
    theta = scaled.flip(1)[:, :, [1, 0, 2]]
    return F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_it_is_bilinear_sampling_with_zeros_beyond_the_edge(size):
    x, turn = images(5, *size), maps(5)
    torch.testing.assert_close(resample(x, turn), by_grid_sample(x, turn), rtol=0, atol=2e-5)


def test_the_parts_of_a_map():
    x = images(1, 1, 5, 5)
    one = torch.zeros(1, dtype=torch.bool), torch.ones(1, 2), torch.zeros(1), torch.zeros(1, 2)
    assert torch.equal(resample(x, still(1)), x)
    torch.testing.assert_close(resample(x, placed(~one[0], *one[1:])), x.flip(3))
    moved = resample(x, placed(*one[:3], torch.tensor([[1.0, 2.0]])))
    assert torch.equal(moved[..., 1:, 2:], x[..., :-1, :-2]) and not moved[..., 0, :].any()
    turned = resample(x, placed(*one[:2], torch.tensor([math.pi / 2]), one[3]))
    torch.testing.assert_close(turned, x.rot90(-1, (2, 3)), rtol=0, atol=1e-5)
    large = torch.zeros(1, 1, 5, 5)
    large[..., 2, 2] = 1
    assert (resample(large, placed(one[0], torch.full((1, 2), 2.0), *one[2:])) > 0).sum() == 9


def test_the_reference_is_linear_with_a_gradient_and_a_tangent():
    x, turn = images(2, 1, 4, 5), maps(2)
    leaf = x.clone().requires_grad_()
    assert gradcheck(lambda x: resample(x, turn), leaf, check_forward_ad=True)
    assert gradgradcheck(lambda x: resample(x, turn), leaf)
    torch.testing.assert_close(jvp(lambda x: resample(x, turn), (x,), (2 * x,))[1], 2 * resample(x, turn))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_kernels_are_the_reference_and_its_transpose(kernels_run, poisoned, off, size):
    x, turn = images(4, *size), maps(4, 1)
    leaf = x.clone().requires_grad_()
    right = resample(leaf, turn)
    up = images(8, *size)[:4]
    (wanted,) = torch.autograd.grad(right, leaf, up)
    ours = x.to(kernels_run, torch.float32).requires_grad_()
    found = resample(ours, turn)
    assert off(found.detach(), right.detach()) <= 5e-6
    (slope,) = torch.autograd.grad(found, ours, up.to(kernels_run, torch.float32), create_graph=True)
    assert off(slope.detach(), wanted) <= 5e-6


def test_kernels_are_differentiated_to_any_order_and_are_the_same_twice(kernels_run, off):
    x, turn = images(3, 2, 7, 5).to(kernels_run, torch.float32).requires_grad_(), maps(3, 2)
    (slope,) = torch.autograd.grad(resample(x, turn).pow(3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(slope.sum(), x)
    leaf = x.detach().double().cpu().requires_grad_()
    (right,) = torch.autograd.grad(resample(leaf, turn).pow(3).sum(), leaf, create_graph=True)
    assert off(second, torch.autograd.grad(right.sum(), leaf)[0]) <= 5e-6
    strided = x.detach().permute(0, 1, 3, 2).contiguous().permute(0, 1, 3, 2)
    assert torch.equal(resample(strided, turn), resample(x.detach(), turn))


@pytest.mark.parametrize(
    "x, turn, named",
    [
        (torch.zeros(4, 4), still(4), "x"),
        (torch.zeros(0, 1, 4, 4), still(1), "x"),
        (torch.zeros(1, 1, 4, 4, dtype=torch.int64), still(1), "x"),
        (torch.zeros(2, 1, 4, 4), still(3), "turn"),
        (torch.zeros(2, 1, 4, 4), still(2).double(), "turn"),
        (torch.zeros(2, 1, 4, 4), still(2) * 0, "turn"),
        (torch.zeros(2, 1, 4, 4), still(2) * float("nan"), "turn"),
        (torch.zeros(2, 1, 4, 4), torch.tensor([[[0.1, 0, 0], [0, 0.5, 0]]] * 2), "turn"),
    ],
)
def test_bad_input_is_named(x, turn, named):
    with pytest.raises(ValueError, match=f"^{named} must"):
        resample(x, turn)
