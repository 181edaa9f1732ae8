"""The Triton kernels of `resample`."""

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.runtime.jit import JITFunction

from ddcore.kernels.choice import FUSION, launch, power_of_two


def forward(x: Tensor, turn: Tensor) -> Tensor:
    """Return the moved images."""
    return _launched(forward_kernel, x, turn)


def adjoint(up: Tensor, turn: Tensor, reach: int) -> Tensor:
    """Return the cotangents of the images for those of the moved ones."""
    return _launched(adjoint_kernel, up, turn, REACH=reach)


@triton.jit
def _place(turn_ptr, n, i, j, H: tl.constexpr, W: tl.constexpr):
    """Return the place of the input that output pixel (i, j) shows."""
    y, x = i - (H - 1) / 2, j - (W - 1) / 2
    a = turn_ptr + n * 6
    s_y = tl.load(a) * y + tl.load(a + 1) * x + tl.load(a + 2) + (H - 1) / 2
    s_x = tl.load(a + 3) * y + tl.load(a + 4) * x + tl.load(a + 5) + (W - 1) / 2
    return s_y, s_x


@triton.jit
def forward_kernel(x_ptr, turn_ptr, out_ptr, n_channels, H: tl.constexpr, W: tl.constexpr, BLOCK_PIXELS: tl.constexpr):
    """Write some pixels of one channel of one image."""
    plane = tl.program_id(0).to(tl.int64)
    k = tl.program_id(1) * BLOCK_PIXELS + tl.arange(0, BLOCK_PIXELS)
    s_y, s_x = _place(turn_ptr, plane // n_channels, (k // W).to(tl.float32), (k % W).to(tl.float32), H, W)
    top, left = tl.floor(s_y), tl.floor(s_x)
    total = tl.zeros([BLOCK_PIXELS], tl.float32)
    for corner in tl.static_range(4):
        p, q = top + corner // 2, left + corner % 2
        inside = (p >= 0) & (p < H) & (q >= 0) & (q < W) & (k < H * W)
        pixel = tl.load(x_ptr + plane * H * W + p.to(tl.int32) * W + q.to(tl.int32), mask=inside, other=0.0)
        total += (1 - tl.abs(s_y - p)) * (1 - tl.abs(s_x - q)) * pixel.to(tl.float32)
    tl.store(out_ptr + plane * H * W + k, total.to(out_ptr.dtype.element_ty), mask=k < H * W)


@triton.jit
def adjoint_kernel(
    up_ptr,
    turn_ptr,
    x_c_ptr,
    n_channels,
    H: tl.constexpr,
    W: tl.constexpr,
    REACH: tl.constexpr,
    BLOCK_PIXELS: tl.constexpr,
):
    """Write the cotangents of some input pixels of one channel of one image."""
    plane = tl.program_id(0).to(tl.int64)
    k = tl.program_id(1) * BLOCK_PIXELS + tl.arange(0, BLOCK_PIXELS)
    n = plane // n_channels
    p, q = (k // W).to(tl.float32), (k % W).to(tl.float32)
    a = turn_ptr + n * 6
    a_yy, a_yx, a_xy, a_xx = tl.load(a), tl.load(a + 1), tl.load(a + 3), tl.load(a + 4)
    # The output pixel that shows the middle of input pixel (p, q): A^-1 by Cramer's rule, rounded to a whole pixel.
    d_y, d_x = p - (H - 1) / 2 - tl.load(a + 2), q - (W - 1) / 2 - tl.load(a + 5)
    size = a_yy * a_xx - a_yx * a_xy
    i_0 = tl.floor((a_xx * d_y - a_yx * d_x) / size + (H - 1) / 2 + 0.5)
    j_0 = tl.floor((a_yy * d_x - a_xy * d_y) / size + (W - 1) / 2 + 0.5)
    total = tl.zeros([BLOCK_PIXELS], tl.float32)
    for step in range((2 * REACH + 1) * (2 * REACH + 1)):
        i, j = i_0 + (step // (2 * REACH + 1) - REACH), j_0 + (step % (2 * REACH + 1) - REACH)
        s_y, s_x = _place(turn_ptr, n, i, j, H, W)
        share = tl.maximum(1 - tl.abs(s_y - p), 0.0) * tl.maximum(1 - tl.abs(s_x - q), 0.0)
        inside = (i >= 0) & (i < H) & (j >= 0) & (j < W) & (k < H * W) & (share > 0)
        value = tl.load(up_ptr + plane * H * W + i.to(tl.int32) * W + j.to(tl.int32), mask=inside, other=0.0)
        total += share * value.to(tl.float32)
    tl.store(x_c_ptr + plane * H * W + k, total.to(x_c_ptr.dtype.element_ty), mask=k < H * W)


def constants(height: int, width: int) -> dict[str, int]:
    """Return the kernels' constants for images of this size."""
    return {"H": height, "W": width, "BLOCK_PIXELS": min(256, power_of_two(height * width)), **FUSION}


def _launched(kernel: JITFunction, x: Tensor, turn: Tensor, **more: int) -> Tensor:
    """Return the output of a kernel for every pixel of some images."""
    x = x.contiguous()
    n, channels, height, width = x.shape
    out, sizes = torch.empty_like(x), constants(height, width)
    grid = (n * channels, triton.cdiv(height * width, sizes["BLOCK_PIXELS"]))
    launch(kernel, grid, x, turn, out, channels, on=x, **more, **sizes)
    return out
