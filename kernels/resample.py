"""Shift, flip, scale and rotate images: one affine map an image, read off between the pixels, with its exact adjoint.

Output pixel (i, j) of an image shows the place ``s = A (i - ci, j - cj) + t + (ci, cj)`` of the input, c being the
middle, and there the bilinear mean of the four pixels around s; beyond the edge lie zeros:

    out[i, j] = sum_pq hat(s_y - p) hat(s_x - q) in[p, q],    hat(u) = max(0, 1 - |u|)

That is linear in the image, so that its tangent is itself and its backward pass the transposed sum. Each program of
that one owns input pixels and gathers: it looks at the output pixels around the place that the inverse map sends it
to, as far away as ``|A^-1|`` allows. No atomics: the same bits every time.
"""

import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd import Function

from kernels.choice import FUSION, fused, power_of_two

FARTHEST = 8


def resample(x: Tensor, turn: Tensor) -> Tensor:
    """Return images, each moved by an affine map of its own.

    Args:
        x: ``(N, C, H, W)`` floating point.
        turn: ``(N, 2, 3)`` float32 on the CPU, ``(A | t)``: rows and columns y before x, in pixels about the middle;
            which place of the input each place of the output shows.

    Returns:
        Of x's shape and dtype; differentiable in x to any order, in forward mode too.

    Raises:
        ValueError: shapes, dtypes or devices do not fit, or a map flattens the image or enlarges it more than 8 times.
    """
    reach = _check(x, turn)
    if fused(x):
        moved: Tensor = Resample.apply(x, turn.to(x.device).contiguous(), reach)
        return moved
    return _reference(x, turn.to(x.device))


def placed(flip: Tensor, scale: Tensor, angle: Tensor, shift: Tensor) -> Tensor:
    """Return the maps ``(N, 2, 3)`` that mirror images left to right, enlarge, rotate and then shift them.

    Args:
        flip: ``(N,)`` bool.
        scale: ``(N, 2)``, how many times as high and wide the content becomes.
        angle: ``(N,)`` radians, from the x axis to the y axis (clockwise where y points down).
        shift: ``(N, 2)`` pixels, down and to the right.
    """
    cos, sin = angle.cos(), angle.sin()
    back = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    inverse = back / scale[:, :, None]
    inverse[:, 1] *= torch.where(flip, -1.0, 1.0)[:, None]
    return torch.cat([inverse, -(inverse @ shift[:, :, None])], 2)


def _reference(x: Tensor, turn: Tensor) -> Tensor:
    n, _, height, width = x.shape
    # In float32 like the kernel, so that both read off the same places.
    i = torch.arange(height, device=x.device, dtype=turn.dtype)[:, None] - (height - 1) / 2
    j = torch.arange(width, device=x.device, dtype=turn.dtype)[None, :] - (width - 1) / 2
    a = turn[:, :, :, None, None]
    s_y = a[:, 0, 0] * i + a[:, 0, 1] * j + a[:, 0, 2] + (height - 1) / 2
    s_x = a[:, 1, 0] * i + a[:, 1, 1] * j + a[:, 1, 2] + (width - 1) / 2
    top, left = s_y.floor(), s_x.floor()
    member = torch.arange(n, device=x.device)[:, None, None]
    total = torch.zeros_like(x)
    for p in (top, top + 1):
        for q in (left, left + 1):
            inside = (p >= 0) & (p < height) & (q >= 0) & (q < width)
            share = torch.where(inside, (1 - (s_y - p).abs()) * (1 - (s_x - q).abs()), 0.0).to(x.dtype)
            pixel = x[member, :, p.clamp(0, height - 1).long(), q.clamp(0, width - 1).long()]
            total = total + share[:, None] * pixel.movedim(3, 1)
    return total


@triton.jit
def _place(turn, n, i, j, H: tl.constexpr, W: tl.constexpr):
    """Return the place of the input that output pixel (i, j) shows."""
    y, x = i - (H - 1) / 2, j - (W - 1) / 2
    a = turn + n * 6
    s_y = tl.load(a) * y + tl.load(a + 1) * x + tl.load(a + 2) + (H - 1) / 2
    s_x = tl.load(a + 3) * y + tl.load(a + 4) * x + tl.load(a + 5) + (W - 1) / 2
    return s_y, s_x


@triton.jit
def forward_kernel(x, turn, out, channels, H: tl.constexpr, W: tl.constexpr, BLOCK: tl.constexpr):
    """Write some pixels of one channel of one image."""
    plane = tl.program_id(0).to(tl.int64)
    k = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    s_y, s_x = _place(turn, plane // channels, (k // W).to(tl.float32), (k % W).to(tl.float32), H, W)
    top, left = tl.floor(s_y), tl.floor(s_x)
    total = tl.zeros([BLOCK], tl.float32)
    for corner in tl.static_range(4):
        p, q = top + corner // 2, left + corner % 2
        inside = (p >= 0) & (p < H) & (q >= 0) & (q < W) & (k < H * W)
        pixel = tl.load(x + plane * H * W + p.to(tl.int32) * W + q.to(tl.int32), mask=inside, other=0.0)
        total += (1 - tl.abs(s_y - p)) * (1 - tl.abs(s_x - q)) * pixel.to(tl.float32)
    tl.store(out + plane * H * W + k, total.to(out.dtype.element_ty), mask=k < H * W)


@triton.jit
def adjoint_kernel(up, turn, x_c, channels, H: tl.constexpr, W: tl.constexpr, REACH: tl.constexpr, BLOCK: tl.constexpr):
    """Write what some input pixels of one channel of one image receive."""
    plane = tl.program_id(0).to(tl.int64)
    k = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    n = plane // channels
    p, q = (k // W).to(tl.float32), (k % W).to(tl.float32)
    a = turn + n * 6
    a_yy, a_yx, a_xy, a_xx = tl.load(a), tl.load(a + 1), tl.load(a + 3), tl.load(a + 4)
    d_y, d_x = p - (H - 1) / 2 - tl.load(a + 2), q - (W - 1) / 2 - tl.load(a + 5)
    size = a_yy * a_xx - a_yx * a_xy
    i_0 = tl.floor((a_xx * d_y - a_yx * d_x) / size + (H - 1) / 2 + 0.5)
    j_0 = tl.floor((a_yy * d_x - a_xy * d_y) / size + (W - 1) / 2 + 0.5)
    total = tl.zeros([BLOCK], tl.float32)
    for step in range((2 * REACH + 1) * (2 * REACH + 1)):
        i, j = i_0 + (step // (2 * REACH + 1) - REACH), j_0 + (step % (2 * REACH + 1) - REACH)
        s_y, s_x = _place(turn, n, i, j, H, W)
        share = tl.maximum(1 - tl.abs(s_y - p), 0.0) * tl.maximum(1 - tl.abs(s_x - q), 0.0)
        inside = (i >= 0) & (i < H) & (j >= 0) & (j < W) & (k < H * W) & (share > 0)
        value = tl.load(up + plane * H * W + i.to(tl.int32) * W + j.to(tl.int32), mask=inside, other=0.0)
        total += share * value.to(tl.float32)
    tl.store(x_c + plane * H * W + k, total.to(x_c.dtype.element_ty), mask=k < H * W)


def constants(height: int, width: int) -> dict[str, int]:
    """Return the kernels' constants for images of this size."""
    return {"H": height, "W": width, "BLOCK": min(256, power_of_two(height * width)), **FUSION}


def _launched(kernel: Any, x: Tensor, turn: Tensor, **more: int) -> Tensor:
    """Return what a kernel writes for every pixel of some images."""
    x = x.contiguous()
    n, channels, height, width = x.shape
    out, sizes = torch.empty_like(x), constants(height, width)
    kernel[(n * channels, triton.cdiv(height * width, sizes["BLOCK"]))](x, turn, out, channels, **more, **sizes)
    return out


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, turn, ctx.reach = inputs
    ctx.save_for_backward(turn)
    ctx.save_for_forward(turn)


class Resample(Function):
    """The map for autograd."""

    setup_context = staticmethod(_keep)

    @staticmethod
    def forward(x: Tensor, turn: Tensor, reach: int) -> Tensor:
        """Return the moved images."""
        return _launched(forward_kernel, x, turn)

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> tuple[Any, ...]:
        """Return the images' cotangents."""
        return ResampleAdjoint.apply(up, *ctx.saved_tensors, ctx.reach), None, None

    @staticmethod
    def jvp(ctx: Any, x_t: Tensor, *_: Any) -> Any:
        """Return the tangent: the same map."""
        return Resample.apply(x_t, *ctx.saved_tensors, ctx.reach)


class ResampleAdjoint(Function):
    """The map's transpose for autograd."""

    setup_context = staticmethod(_keep)

    @staticmethod
    def forward(up: Tensor, turn: Tensor, reach: int) -> Tensor:
        """Return the cotangents of the images for those of the moved ones."""
        return _launched(adjoint_kernel, up, turn, REACH=reach)

    @staticmethod
    def backward(ctx: Any, x_t: Tensor) -> tuple[Any, ...]:
        """Return the transpose of the transpose."""
        return Resample.apply(x_t, *ctx.saved_tensors, ctx.reach), None, None

    @staticmethod
    def jvp(ctx: Any, up_t: Tensor, *_: Any) -> Any:
        """Return the tangent: the same transpose."""
        return ResampleAdjoint.apply(up_t, *ctx.saved_tensors, ctx.reach)


def _check(x: Tensor, turn: Tensor) -> int:
    """Return how far from its image under the inverse map a pixel's output pixels can lie, in pixels, at most."""
    if x.ndim != 4 or not x.numel() or not x.is_floating_point():
        raise ValueError(f"x must be (N, C, H, W) floating point and not empty, not {tuple(x.shape)} {x.dtype}")
    if (turn.shape, turn.dtype, turn.device.type) != ((len(x), 2, 3), torch.float32, "cpu"):
        found = f"{tuple(turn.shape)} {turn.dtype} on {turn.device}"
        raise ValueError(f"turn must be ({len(x)}, 2, 3) float32 on the cpu, not {found}")
    a = turn[:, :, :2].double()
    inverse, singular = torch.linalg.inv_ex(a)
    reach = float(inverse.abs().sum(2).max())
    if not bool(torch.isfinite(turn).all()) or bool(singular.any()) or not reach < FARTHEST:
        raise ValueError(f"turn must hold maps that neither flatten an image nor enlarge it more than {FARTHEST} times")
    # Half a pixel more, because the search begins at a whole pixel, and a little for rounding.
    return math.ceil(reach + 0.51)
