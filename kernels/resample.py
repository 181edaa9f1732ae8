"""Shift, flip, scale and rotate images: one affine map per image, bilinear interpolation, and the exact adjoint.

Output pixel (i, j) of an image shows the place ``s = A (i - ci, j - cj) + t + (ci, cj)`` of the input, where c is the
middle of the image: the bilinear mean of the four pixels around s. Pixels outside the image are zero:

    out[i, j] = sum_pq hat(s_y - p) hat(s_x - q) in[p, q],    hat(u) = max(0, 1 - |u|)

The map is linear in the image: its tangent is the map itself, and its backward pass is the transposed sum. A program of
the backward pass computes input pixels and gathers: it reads the output pixels around the image of its pixel under the
inverse map. An output pixel has a weight only if ``|s - (p, q)| < 1`` in both coordinates, so it is at most the largest
row sum of ``|A^-1|`` away. Without atomics the result has the same bits every time.
"""

import math

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx

from ddcore.kernels.choice import fused

FARTHEST = 8


def resample(x: Tensor, turn: Tensor, reach: int | None = None) -> Tensor:
    """Return images, each moved by an affine map of its own.

    Args:
        x: ``(N, C, H, W)`` floating point.
        turn: ``(N, 2, 3)`` float32, or ``(1, 2, 3)`` for all images, ``(A | t)``: the place of the input that each
            place of the output shows. Rows and columns are y before x, in pixels from the middle. On the CPU, where it
            is checked; beside x with a reach.
        reach: what `reach_of` gave for the maps; they are not checked again.

    Returns:
        Of x's shape and dtype; differentiable in x to any order, also in forward mode.

    Raises:
        ValueError: shapes, dtypes or devices do not fit, or a map is singular or enlarges the image more than 8 times.
    """
    _check(x, turn, x.device if reach is not None else torch.device("cpu"))
    reach = reach_of(turn) if reach is None else reach
    if fused(x):
        moved: Tensor = Resample.apply(x, turn.to(x.device).expand(len(x), 2, 3).contiguous(), reach)
        return moved
    return _reference(x, turn.to(x.device))


def placed(flip: Tensor, scale: Tensor, angle: Tensor, shift: Tensor) -> Tensor:
    """Return the maps ``(N, 2, 3)`` that mirror images left to right, enlarge, rotate and then shift them.

    Args:
        flip: ``(N,)`` bool.
        scale: ``(N, 2)``, factors of the content's height and width.
        angle: ``(N,)`` radians, from the x axis to the y axis (clockwise where y points down).
        shift: ``(N, 2)`` pixels, down and to the right.
    """
    cos, sin = angle.cos(), angle.sin()
    back = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    inverse = back / scale[:, :, None]
    inverse[:, 1] *= torch.where(flip, -1.0, 1.0)[:, None]
    return torch.cat([inverse, -(inverse @ shift[:, :, None])], 2)


def _reference(x: Tensor, turn: Tensor) -> Tensor:
    height, width = x.shape[2:]
    # Places in float32, as in the kernel, so that both interpolate between the same pixels.
    i = torch.arange(height, device=x.device, dtype=turn.dtype)[:, None] - (height - 1) / 2
    j = torch.arange(width, device=x.device, dtype=turn.dtype)[None, :] - (width - 1) / 2
    a = turn[:, :, :, None, None]
    s_y = a[:, 0, 0] * i + a[:, 0, 1] * j + a[:, 0, 2] + (height - 1) / 2
    s_x = a[:, 1, 0] * i + a[:, 1, 1] * j + a[:, 1, 2] + (width - 1) / 2
    top, left = s_y.floor(), s_x.floor()
    alike = len(turn) == 1
    # Where all images move alike, the pixels of one place lie side by side: (H W, N C).
    planes = x.flatten(0, 1).flatten(1).T.contiguous() if alike else x.flatten(2)
    total = torch.zeros_like(planes)
    for p in (top, top + 1):
        for q in (left, left + 1):
            inside = (p >= 0) & (p < height) & (q >= 0) & (q < width)
            share = torch.where(inside, (1 - (s_y - p).abs()) * (1 - (s_x - q).abs()), 0.0).to(x.dtype).flatten(1)
            place = (p.clamp(0, height - 1).long() * width + q.clamp(0, width - 1).long()).flatten(1)
            if alike:
                total = total + share.T * planes[place[0]]
            else:
                total = total + share[:, None] * planes.gather(2, place[:, None].expand(planes.shape))
    return (total.T if alike else total).reshape(x.shape)


class ResampleContext(FunctionCtx):
    """The state that autograd keeps between forward and backward."""

    saved_tensors: tuple[Tensor, ...]
    reach: int


def _save(ctx: ResampleContext, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
    _, turn, ctx.reach = inputs
    ctx.save_for_backward(turn)
    ctx.save_for_forward(turn)


class Resample(Function):
    """The map for autograd."""

    setup_context = staticmethod(_save)

    @staticmethod
    def forward(x: Tensor, turn: Tensor, reach: int) -> Tensor:
        """Return the moved images."""
        from ddcore.kernels import resample_triton as fast

        return fast.forward(x, turn)

    @staticmethod
    def backward(ctx: ResampleContext, up: Tensor) -> tuple[Tensor, None, None]:
        """Return the images' cotangents."""
        return ResampleAdjoint.apply(up, *ctx.saved_tensors, ctx.reach), None, None

    @staticmethod
    def jvp(ctx: ResampleContext, x_t: Tensor, *_: None) -> Tensor:
        """Return the tangent: the same map."""
        return Resample.apply(x_t, *ctx.saved_tensors, ctx.reach)


class ResampleAdjoint(Function):
    """The map's transpose for autograd."""

    setup_context = staticmethod(_save)

    @staticmethod
    def forward(up: Tensor, turn: Tensor, reach: int) -> Tensor:
        """Return the cotangents of the images for those of the moved ones."""
        from ddcore.kernels import resample_triton as fast

        return fast.adjoint(up, turn, reach)

    @staticmethod
    def backward(ctx: ResampleContext, x_t: Tensor) -> tuple[Tensor, None, None]:
        """Return the transpose of the transpose."""
        return Resample.apply(x_t, *ctx.saved_tensors, ctx.reach), None, None

    @staticmethod
    def jvp(ctx: ResampleContext, up_t: Tensor, *_: None) -> Tensor:
        """Return the tangent: the same transpose."""
        return ResampleAdjoint.apply(up_t, *ctx.saved_tensors, ctx.reach)


def _check(x: Tensor, turn: Tensor, device: torch.device) -> None:
    if x.ndim != 4 or not x.numel() or not x.is_floating_point():
        raise ValueError(f"x must be (N, C, H, W) floating point and not empty, not {tuple(x.shape)} {x.dtype}")
    if turn.shape not in ((len(x), 2, 3), (1, 2, 3)) or (turn.dtype, turn.device) != (torch.float32, device):
        actual = f"{tuple(turn.shape)} {turn.dtype} on {turn.device}"
        raise ValueError(f"turn must be ({len(x)}, 2, 3) float32 on {device}, not {actual}")


def reach_of(turn: Tensor) -> int:
    """Return the largest distance in pixels of a pixel's output pixels from its image under the inverse map.

    Args:
        turn: maps ``(N, 2, 3)`` float32 on the CPU, see `resample`.

    Raises:
        ValueError: a map is singular or enlarges the image more than 8 times.
    """
    a = turn[:, :, :2].double()
    # The inverse of [[a, b], [c, d]] is [[d, -b], [-c, a]] / (ad - bc): a row of it adds up to a column of the map.
    area = a[:, 0, 0] * a[:, 1, 1] - a[:, 0, 1] * a[:, 1, 0]
    reach = float((a.abs().sum(1).amax(1) / area.abs()).max())
    if not bool(torch.isfinite(turn).all()) or not reach < FARTHEST:
        raise ValueError(f"turn must hold maps that are not singular and enlarge an image at most {FARTHEST} times")
    # The search starts at a whole pixel: up to half a pixel more, and a little for rounding.
    return math.ceil(reach + 0.51)
