import os

import pytest
import torch
from exact_block import exact
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

from ddcore.kernels import (
    first_block,
    first_block_backward,
    first_block_forward,
    first_block_tangent,
    first_block_tangent_backward,
    norm_act_pool_backward,
    norm_act_pool_forward,
    norm_act_pool_tangent,
    norm_act_pool_tangent_backward,
    soft_cross_entropy,
)
from ddcore.kernels.choice import layout_of
from ddcore.kernels.first_block import sizes
from ddcore.nets import convnet
from ddcore.nets.convnet import FUSED, ConvNet
from ddcore.unroll.flat_params import Flat
from ddcore.unroll.inner_step import Step

# (Cin, H, W), the number of channels and the padding.
CASES = [
    ((1, 8, 8), 3, 1),
    ((3, 8, 6), 3, 1),
    ((1, 7, 7), 2, 1),
    ((3, 5, 6), 2, 1),
    ((2, 6, 5), 5, 1),
    ((1, 6, 6), 4, 3),
    ((1, 5, 4), 3, 3),
    ((1, 4, 3), 1, 1),
    ((1, 28, 28), 2, 3),
    ((3, 32, 32), 2, 1),
]
NAMES = ("w", "gain", "offset")


@pytest.fixture
def pairs_run(kernels_run, monkeypatch):
    """Let a program take two channels, so that a few channels are several groups, the last one of one channel.

    In channels-last it takes four.

    PyTorch's convolutions, beside which they run, compute in float32.
    """
    from ddcore.kernels import first_block_triton as fast

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)

    def small(*given):
        constants = sizes(*given)[1]
        return max(2, constants["TOGETHER"]), constants

    monkeypatch.setattr(fast, "sizes", small)
    monkeypatch.setattr(first_block, "MOST_CHANNELS", 3)
    return kernels_run


@pytest.fixture
def kernels_if_any(monkeypatch):
    """Let the kernels run in the interpreter, and the definition without it."""
    if os.environ.get("TRITON_INTERPRET") == "1":
        monkeypatch.setenv("KERNELS", "triton")


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def case(image, channels, padding, n=2):
    """Return x, then w, gain and offset, their tangents, and two cotangents of the output, in float64."""
    x = draw(n, *image) + 0.5
    values = [draw(channels, image[0], 3, 3, seed=1), draw(channels, seed=2), draw(channels, seed=3)]
    tangents = [draw(channels, image[0], 3, 3, seed=4), draw(channels, seed=5), draw(channels, seed=6)]
    sides = ((side + 2 * padding - 2) // 2 for side in image[1:])
    return x, values, tangents, draw(2, n, channels, *sides, seed=7).unbind()


def paired(values, tangents):
    return [each for pair in zip(values, tangents, strict=True) for each in pair]


def cast(device, *tensors):
    return [t.to(device, torch.float32) for t in tensors]


def agree(found, right, off, most):
    """Compare the parts of w, gain and offset with the whole."""
    parts, sums = found
    for name, ours, each in zip(NAMES, (parts.sum(0), *sums.sum(1)), right, strict=True):
        assert off(ours, each) <= most, name


@pytest.mark.parametrize("image, channels, padding", CASES[:6], ids=str)
def test_the_definition_has_the_derivatives_of_torch(image, channels, padding, off):
    x, values, tangents, (up, up_t) = case(image, channels, padding)
    (y, y_t), first, second = exact(x, values, tangents, (up, up_t), padding)
    w, gain, offset = values
    ours, saved = first_block_forward(x, w, gain, offset, padding)
    assert off(ours, y) <= 1e-12
    agree(first_block_backward(up, saved, gain, offset), first[1:], off, 1e-10)
    both, saved = first_block_tangent(x, *paired(values, tangents), padding)
    assert off(both, torch.cat([y, y_t])) <= 1e-12
    *found, x_ct = first_block_tangent_backward(up, up_t, saved, gain, tangents[1], offset)
    agree(found, second[1:], off, 1e-10)
    assert off(x_ct, second[0]) <= 1e-10


@pytest.mark.skipif(os.environ.get("KERNELS") == "triton", reason="the definition is what is compared")
def test_on_a_cpu_it_is_the_convolutions_and_the_norm_bit_by_bit():
    x, values, tangents, cotangents = case((3, 9, 8), 5, 1, n=4)
    (x, up, up_t), (w, gain, offset) = cast("cpu", x, *cotangents), cast("cpu", *values)
    w_t, gain_t, offset_t = cast("cpu", *tangents)
    n = len(x)
    y, planes = norm_act_pool_forward(F.conv2d(x, w, padding=1), gain, offset)
    u_c, sums = norm_act_pool_backward(up, planes, gain, offset)
    ours, saved = first_block_forward(x, w, gain, offset, 1)
    right = y, conv2d_weight(x, w.shape, u_c, padding=1)[None], sums
    assert all(map(torch.equal, (ours, *first_block_backward(up, saved, gain, offset)), right))
    u, u_t = (F.conv2d(x, each, padding=1) for each in (w, w_t))
    both, planes = norm_act_pool_tangent(u, u_t, gain, gain_t, offset, offset_t)
    down, sums = norm_act_pool_tangent_backward(up, up_t, planes, gain, gain_t, offset)
    across = conv2d_input(x.shape, w_t, down[n:], padding=1).add_(conv2d_input(x.shape, w, down[:n], padding=1))
    right = both, conv2d_weight(x, w.shape, down[:n], padding=1)[None], sums, across
    ours, saved = first_block_tangent(x, w, w_t, gain, gain_t, offset, offset_t, 1)
    found = first_block_tangent_backward(up, up_t, saved, gain, gain_t, offset)
    assert all(map(torch.equal, (ours, *found), right))


LAYOUTS = [torch.contiguous_format, torch.channels_last]


def lies(x, layout):
    return x.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("image, channels, padding", [*CASES, ((1, 7, 6), 8, 1), ((1, 28, 28), 4, 3)], ids=str)
def test_all_four_kernels_compute_what_the_definition_says(pairs_run, poisoned, image, channels, padding, layout, off):
    x, values, tangents, cotangents = case(image, channels, padding)
    (y, y_t), first, second = exact(x, values, tangents, cotangents, padding)
    (x, up, up_t), (w, gain, offset) = cast(pairs_run, x, *cotangents), cast(pairs_run, *values)
    tangents = cast(pairs_run, *tangents)
    up, up_t = (each.contiguous(memory_format=layout) for each in (up, up_t))
    ours, saved = first_block_forward(x, w, gain, offset, padding, layout=layout)
    assert lies(ours, layout) and saved.planes is None and off(ours, y) <= 2e-6
    agree(first_block_backward(up, saved, gain, offset), first[1:], off, 5e-6)
    both, saved = first_block_tangent(x, *paired((w, gain, offset), tangents), padding, layout=layout)
    assert lies(both, layout) and saved.planes is None and off(both, torch.cat([y, y_t])) <= 5e-6
    *found, x_ct = first_block_tangent_backward(up, up_t, saved, gain, tangents[1], offset)
    agree(found, second[1:], off, 5e-6)
    assert x_ct.shape == x.shape and off(x_ct, second[0]) <= 5e-6


@pytest.mark.parametrize("fused_before", [True, False], ids=["kernels first", "kernels last"])
def test_each_pass_may_run_without_its_kernel(pairs_run, fused_before, off):
    x, values, tangents, cotangents = case((3, 7, 6), 4, 1)
    _, first, second = exact(x, values, tangents, cotangents, 1)
    (x, up, up_t), (w, gain, offset) = cast(pairs_run, x, *cotangents), cast(pairs_run, *values)
    tangents = cast(pairs_run, *tangents)
    _, saved = first_block_forward(x, w, gain, offset, 1, fused_before)
    agree(first_block_backward(up, saved, gain, offset, not fused_before), first[1:], off, 5e-6)
    _, saved = first_block_tangent(x, *paired((w, gain, offset), tangents), 1, fused_before)
    *found, x_ct = first_block_tangent_backward(up, up_t, saved, gain, tangents[1], offset, not fused_before)
    agree(found, second[1:], off, 5e-6)
    assert off(x_ct, second[0]) <= 5e-6


def passes(x, values, tangents, cotangents, padding=1, layout=LAYOUTS[0]):
    (w, gain, offset), (up, up_t) = values, cotangents
    y, saved = first_block_forward(x, w, gain, offset, padding, layout=layout)
    found = [y, *first_block_backward(up, saved, gain, offset)]
    both, saved = first_block_tangent(x, *paired(values, tangents), padding, layout=layout)
    return [*found, both, *first_block_tangent_backward(up, up_t, saved, gain, tangents[1], offset)]


def test_members_do_not_meet_and_strides_do_not_matter(pairs_run):
    x, *others = case((1, 6, 5), 3, 1, n=3)
    (x,), (values, tangents, cotangents) = cast(pairs_run, x), (cast(pairs_run, *each) for each in others)
    y, w_c, sums, both, w_ct, sums_t, x_ct = passes(x, values, tangents, cotangents)
    strided = x.permute(2, 3, 0, 1).contiguous().permute(2, 3, 0, 1)[1:2]
    assert not strided.is_contiguous()
    alone = passes(strided, values, tangents, [each[1:2] for each in cotangents])
    right = y[1:2], w_c[1:2], sums[:, 1:2], both[[1, 4]], w_ct[1:2], sums_t[:, 1:2], x_ct[1:2]
    assert all(map(torch.equal, alone, right))


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1", reason="only the interpreter's order can be changed")
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_the_order_of_programs_does_not_matter(pairs_run, monkeypatch, layout):
    from triton.runtime import interpreter

    x, *others = case((1, 7, 6), 3 if layout == LAYOUTS[0] else 8, 1)
    (x,), given = cast(pairs_run, x), [cast(pairs_run, *each) for each in others]
    given[2] = [each.contiguous(memory_format=layout) for each in given[2]]
    right = passes(x, *given, layout=layout)
    begin, grids = interpreter.InterpreterBuilder.set_grid_idx, []

    def backwards(self, place, y, z):
        grids.append(self.grid_dim[0])
        begin(self, self.grid_dim[0] - 1 - place, y, z)

    monkeypatch.setattr(interpreter.InterpreterBuilder, "set_grid_idx", backwards)
    assert all(map(torch.equal, passes(x, *given, layout=layout), right)) and grids == [4] * 16


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("without", [(), tuple(sorted(FUSED)), ("backward", "tangent")], ids=str)
@pytest.mark.parametrize("members", [1, 3])
def test_a_network_with_them_has_the_derivatives_of_double_backward(pairs_run, monkeypatch, members, without, layout):
    monkeypatch.setattr(convnet, "FUSED", FUSED - {*without})
    monkeypatch.setattr(ConvNet, "_layout", staticmethod(lambda x: layout))
    lay = set()

    def watched(up, saved, *norms):
        lay.add(layout_of(saved.x))
        return norm_act_pool_backward(up, saved, *norms)

    monkeypatch.setattr(convnet, "norm_act_pool_backward", watched)
    torch.manual_seed(0)
    with pairs_run:  # a new network runs once, which kernels can do on a GPU alone
        nets = [ConvNet((2, 6, 6), 3, 3, depth=2) for _ in range(2)]
    flat = Flat(nets[0].cpu().double())
    theta = flat.start()
    along, x, y = draw(len(theta), seed=8), draw(members, 2, 6, 6, seed=9), draw(members, 3, seed=10).softmax(1)
    leaves = [each.clone().requires_grad_() for each in (theta, x, y)]
    loss = soft_cross_entropy(flat(*leaves[:2]), leaves[2]).mean()
    (g,) = torch.autograd.grad(loss, leaves[0], create_graph=True)
    right = torch.autograd.grad(torch.dot(g, along), leaves)
    step = Step(Flat(nets[1]), graphs="off")
    theta, along, x, y = cast(pairs_run, theta, along, x, y)
    found = step.curvature(theta, along, x, y)
    for ours, each in zip((step.slope(theta, x, y), found.theta, found.x, found.y), (g.detach(), *right), strict=True):
        assert float((ours.cpu() - each).norm() / each.norm()) < 2e-5
    assert lay == {layout} and found.x.is_contiguous()


def test_planes_lie_channels_last_for_kernels_in_tf32_alone(monkeypatch):
    x = torch.zeros(1, 1, 4, 4)
    for kernels, tf32, layout in (
        ("triton", True, convnet.LAYOUT),
        ("triton", False, LAYOUTS[0]),
        ("", True, LAYOUTS[0]),
    ):
        monkeypatch.setenv("KERNELS", kernels)
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", tf32)
        assert ConvNet._layout(x) == layout


@pytest.mark.parametrize(
    "image, dtype, padding",
    [((4, 8, 8), torch.float32, 1), ((1, 34, 34), torch.float32, 1), ((1, 8, 8), torch.float64, 1)],
    ids=str,
)
def test_what_the_kernels_cannot_hold_is_left_to_torch(pairs_run, image, dtype, padding):
    x, values, _, _ = case(image, 2, padding)
    x, *values = (each.to(pairs_run, dtype) for each in (x, *values))
    _, saved = first_block_forward(x, *values, padding)
    assert saved.planes is not None


@pytest.mark.parametrize(
    "named, wrong",
    [
        ("x", torch.zeros(2, 3, 8)),
        ("x", torch.zeros(2, 3, 1, 8)),
        ("w", torch.zeros(5, 2, 3, 3)),
        ("w", torch.zeros(5, 3, 5, 5)),
        ("gain", torch.zeros(4)),
        ("offset", torch.zeros(5, dtype=torch.float64)),
    ],
)
def test_wrong_shapes_and_dtypes_are_refused(kernels_if_any, named, wrong):
    given = {"x": torch.zeros(2, 3, 8, 8), "w": torch.zeros(5, 3, 3, 3), "gain": torch.ones(5), "offset": torch.ones(5)}
    given[named] = wrong
    with pytest.raises(ValueError, match=f"^{named} must be"):
        first_block_forward(**given, padding=1)
    w, gain, offset = given["w"], given["gain"], given["offset"]
    with pytest.raises(ValueError, match=f"^{named} must be"):
        first_block_tangent(given["x"], w, w, gain, gain, offset, offset, 1)


@pytest.mark.parametrize("named", ["y_c", "y_ct"])
def test_a_cotangent_of_another_shape_is_refused(kernels_if_any, named):
    x, values, _, _ = case((1, 6, 6), 3, 1)
    x, w, gain, offset = cast("cpu", x, *values)
    _, saved = first_block_tangent(x, w, w, gain, gain, offset, offset, 1)
    up = torch.zeros(2, 3, 3, 3)
    given = {"y_c": up, "y_ct": up, named: up[:1]}
    with pytest.raises(ValueError, match=f"^{named} must be"):
        first_block_tangent_backward(**given, saved=saved, gain=gain, gain_t=gain, offset=offset)


def test_a_quad_more_than_a_power_of_two_doubles_the_block():
    assert sizes("forward", torch.empty(1, 1, 28, 28), 3)[1]["BLOCK_QUADS"] == 256
    assert sizes("forward", torch.empty(1, 1, 33, 32), 1)[1]["BLOCK_QUADS"] == 512
