"""The Triton kernels of `norm_act_pool`, whose head has the formulas: one program per plane, in registers.

A plane is a tile of ``(BLOCK_QUADS, 4)`` pixels: a row holds the four that are pooled into one, so that the pool is a
sum over a row within one thread. Further rows hold the pixels of an odd last column and row, four per row. They count
in the statistics and are not pooled. Everything is computed in float32. The derivatives of a channel's gain and offset
are left as one number per plane and summed over members afterwards: without atomics the bits are the same every time.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ddcore.kernels.choice import FUSION, power_of_two


@triton.jit
def _places(H: tl.constexpr, W: tl.constexpr, BLOCK_QUADS: tl.constexpr):
    """Return the places of a tile's pixels in their plane, and which exist: two ``(BLOCK_QUADS, 4)``."""
    row = tl.arange(0, BLOCK_QUADS)[:, None]
    quarter = tl.arange(0, 4)[None, :]
    pooled: tl.constexpr = (H // 2) * (W // 2)
    place = (row // (W // 2)) * (2 * W) + (row % (W // 2)) * 2 + (quarter // 2) * W + quarter % 2
    there = (row < pooled) & (quarter < 4)
    if 4 * pooled < H * W:
        column: tl.constexpr = (W % 2) * (H // 2) * 2
        edge = (row - pooled) * 4 + quarter
        beyond = tl.where(edge < column, edge * W + W - 1, (H - 1) * W + edge - column)
        place = tl.where(row < pooled, place, beyond)
        there = there | (edge < H * W - 4 * pooled)
    return place, there


@triton.jit
def _read(x_ptr, plane, H: tl.constexpr, W: tl.constexpr, BLOCK_QUADS: tl.constexpr):
    """Return a plane ``(BLOCK_QUADS, 4)`` in float32, zero where there is no pixel."""
    place, there = _places(H, W, BLOCK_QUADS)
    return tl.load(x_ptr + plane * H * W + place, mask=there, other=0.0).to(tl.float32)


@triton.jit
def _write(x_ptr, plane, tile, H: tl.constexpr, W: tl.constexpr, BLOCK_QUADS: tl.constexpr):
    place, there = _places(H, W, BLOCK_QUADS)
    tl.store(x_ptr + plane * H * W + place, tile.to(x_ptr.dtype.element_ty), mask=there)


@triton.jit
def _emit(y_ptr, plane, tile, H: tl.constexpr, W: tl.constexpr, POOL: tl.constexpr, BLOCK_QUADS: tl.constexpr):
    """Store the output of the block: the plane pooled or unchanged."""
    if POOL:
        pooled: tl.constexpr = (H // 2) * (W // 2)
        row = tl.arange(0, BLOCK_QUADS)
        tl.store(y_ptr + plane * pooled + row, (tl.sum(tile, 1) * 0.25).to(y_ptr.dtype.element_ty), mask=row < pooled)
    else:
        _write(y_ptr, plane, tile, H, W, BLOCK_QUADS)


@triton.jit
def _receive(y_c_ptr, plane, H: tl.constexpr, W: tl.constexpr, POOL: tl.constexpr, BLOCK_QUADS: tl.constexpr):
    """Return the cotangents of a plane's pixels from those of the output; pooled pixels share one: one column."""
    if POOL:
        pooled: tl.constexpr = (H // 2) * (W // 2)
        row = tl.arange(0, BLOCK_QUADS)
        up = tl.load(y_c_ptr + plane * pooled + row, mask=row < pooled, other=0.0).to(tl.float32) * 0.25
        return up[:, None]
    else:
        return _read(y_c_ptr, plane, H, W, BLOCK_QUADS)


@triton.jit
def _total(tile):
    return tl.sum(tl.sum(tile, 1), 0)


@triton.jit
def forward_kernel(
    x_ptr,
    gain_ptr,
    offset_ptr,
    y_ptr,
    stats_ptr,
    n_channels,
    n_planes,
    eps,
    H: tl.constexpr,
    W: tl.constexpr,
    POOL: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
):
    """Write y and, to `stats` ``(2, planes)``, the means and inverse deviations."""
    plane = tl.program_id(0).to(tl.int64)
    g = tl.load(gain_ptr + plane % n_channels).to(tl.float32)
    b = tl.load(offset_ptr + plane % n_channels).to(tl.float32)
    _, there = _places(H, W, BLOCK_QUADS)
    # Two passes over registers: the variance of centred pixels does not cancel, and memory is read once.
    tile = _read(x_ptr, plane, H, W, BLOCK_QUADS)
    mean = _total(tile) / (H * W)
    centred = tl.where(there, tile - mean, 0.0)
    inverse = 1.0 / tl.sqrt(_total(centred * centred) / (H * W) + eps)
    tl.store(stats_ptr + plane, mean)
    tl.store(stats_ptr + n_planes + plane, inverse)
    z = tl.where(there, g * centred * inverse + b, 0.0)
    _emit(y_ptr, plane, tl.where(z > 0, z, 0.0), H, W, POOL, BLOCK_QUADS)


@triton.jit
def backward_kernel(
    x_ptr,
    stats_ptr,
    gain_ptr,
    offset_ptr,
    y_c_ptr,
    x_c_ptr,
    sums_ptr,
    n_channels,
    n_planes,
    H: tl.constexpr,
    W: tl.constexpr,
    POOL: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
):
    """Write the cotangent of x and, to `sums` ``(2, planes)``, each plane's part of the gain's and the offset's."""
    plane = tl.program_id(0).to(tl.int64)
    g = tl.load(gain_ptr + plane % n_channels).to(tl.float32)
    b = tl.load(offset_ptr + plane % n_channels).to(tl.float32)
    mean, inverse = tl.load(stats_ptr + plane), tl.load(stats_ptr + n_planes + plane)
    _, there = _places(H, W, BLOCK_QUADS)
    normed = tl.where(there, (_read(x_ptr, plane, H, W, BLOCK_QUADS) - mean) * inverse, 0.0)
    z_c = tl.where(there & (g * normed + b > 0), _receive(y_c_ptr, plane, H, W, POOL, BLOCK_QUADS), 0.0)
    gained, summed = _total(z_c * normed), _total(z_c)
    tl.store(sums_ptr + plane, gained)
    tl.store(sums_ptr + n_planes + plane, summed)
    _write(x_c_ptr, plane, inverse * g * (z_c - summed / (H * W) - normed * (gained / (H * W))), H, W, BLOCK_QUADS)


@triton.jit
def tangent_kernel(
    x_ptr,
    x_t_ptr,
    gain_ptr,
    gain_t_ptr,
    offset_ptr,
    offset_t_ptr,
    y_ptr,
    y_t_ptr,
    stats_ptr,
    n_channels,
    n_planes,
    eps,
    H: tl.constexpr,
    W: tl.constexpr,
    POOL: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
):
    """Write y, its tangent and, to `stats` ``(4, planes)``: mean(x), r, mean(x') and mean(xh x')."""
    plane = tl.program_id(0).to(tl.int64)
    channel = plane % n_channels
    g, g_t = tl.load(gain_ptr + channel).to(tl.float32), tl.load(gain_t_ptr + channel).to(tl.float32)
    b, b_t = tl.load(offset_ptr + channel).to(tl.float32), tl.load(offset_t_ptr + channel).to(tl.float32)
    _, there = _places(H, W, BLOCK_QUADS)
    tile, moved = _read(x_ptr, plane, H, W, BLOCK_QUADS), _read(x_t_ptr, plane, H, W, BLOCK_QUADS)
    mean, mean_t = _total(tile) / (H * W), _total(moved) / (H * W)
    centred = tl.where(there, tile - mean, 0.0)
    inverse = 1.0 / tl.sqrt(_total(centred * centred) / (H * W) + eps)
    normed = centred * inverse
    moved = tl.where(there, moved - mean_t, 0.0)
    shared = _total(normed * moved) / (H * W)
    tl.store(stats_ptr + plane, mean)
    tl.store(stats_ptr + n_planes + plane, inverse)
    tl.store(stats_ptr + 2 * n_planes + plane, mean_t)
    tl.store(stats_ptr + 3 * n_planes + plane, shared)
    z = tl.where(there, g * normed + b, 0.0)
    z_t = g_t * normed + g * inverse * (moved - normed * shared) + b_t
    _emit(y_ptr, plane, tl.where(z > 0, z, 0.0), H, W, POOL, BLOCK_QUADS)
    _emit(y_t_ptr, plane, tl.where(z > 0, z_t, 0.0), H, W, POOL, BLOCK_QUADS)


@triton.jit
def tangent_backward_kernel(
    x_ptr,
    x_t_ptr,
    stats_ptr,
    gain_ptr,
    gain_t_ptr,
    offset_ptr,
    y_c_ptr,
    y_ct_ptr,
    x_c_ptr,
    x_ct_ptr,
    sums_ptr,
    n_channels,
    n_planes,
    H: tl.constexpr,
    W: tl.constexpr,
    POOL: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
):
    """Write the cotangent of x, its tangent and, to `sums` ``(2, planes)``, the tangents of gain's and offset's."""
    plane = tl.program_id(0).to(tl.int64)
    channel = plane % n_channels
    g, g_t = tl.load(gain_ptr + channel).to(tl.float32), tl.load(gain_t_ptr + channel).to(tl.float32)
    b = tl.load(offset_ptr + channel).to(tl.float32)
    mean, inverse = tl.load(stats_ptr + plane), tl.load(stats_ptr + n_planes + plane)
    mean_t, shared = tl.load(stats_ptr + 2 * n_planes + plane), tl.load(stats_ptr + 3 * n_planes + plane)
    _, there = _places(H, W, BLOCK_QUADS)
    normed = tl.where(there, (_read(x_ptr, plane, H, W, BLOCK_QUADS) - mean) * inverse, 0.0)
    moved = tl.where(there, (_read(x_t_ptr, plane, H, W, BLOCK_QUADS) - mean_t - normed * shared) * inverse, 0.0)
    on = there & (g * normed + b > 0)
    z_c = tl.where(on, _receive(y_c_ptr, plane, H, W, POOL, BLOCK_QUADS), 0.0)
    z_ct = tl.where(on, _receive(y_ct_ptr, plane, H, W, POOL, BLOCK_QUADS), 0.0)
    summed, gained, drifted = _total(z_c), _total(z_c * normed), _total(z_c * moved)
    summed_t, gained_t = _total(z_ct), _total(z_ct * normed)
    tl.store(sums_ptr + plane, gained_t + drifted)
    tl.store(sums_ptr + n_planes + plane, summed_t)
    M: tl.constexpr = H * W
    down = inverse * g * (z_c - summed / M - normed * (gained / M))
    level = (g_t * summed + g * summed_t) / M
    slope = (g_t * gained + g * gained_t + g * drifted) / M
    down_t = inverse * (g_t * z_c + g * z_ct - level - normed * slope - moved * (g * gained / M) - shared * down)
    _write(x_c_ptr, plane, down, H, W, BLOCK_QUADS)
    _write(x_ct_ptr, plane, down_t, H, W, BLOCK_QUADS)


def sizes(x: Tensor, pool: bool) -> tuple[tuple[int, ...], dict[str, int]]:
    """Return the shape of the block's output and the kernels' constants for planes like those of `x`."""
    n, channels, height, width = x.shape
    pooled = (height // 2) * (width // 2)
    block = power_of_two(pooled + -(-(height * width - 4 * pooled) // 4))
    out = (n, channels, height // 2, width // 2) if pool else tuple(x.shape)
    warps = min(8, max(1, block // 64))
    return out, {"H": height, "W": width, "POOL": pool, "BLOCK_QUADS": block, "num_warps": warps, **FUSION}


def forward(x: Tensor, gain: Tensor, offset: Tensor, eps: float, pool: bool) -> tuple[Tensor, Tensor]:
    """Return y and the statistics of the planes ``(2, N, C)``."""
    n, channels = x.shape[:2]
    out, constants = sizes(x, pool)
    y, stats = x.new_empty(out), x.new_empty(2, n, channels, dtype=torch.float32)
    forward_kernel[(n * channels,)](x, gain, offset, y, stats, channels, n * channels, eps, **constants)
    return y, stats


def backward(y_c: Tensor, x: Tensor, stats: Tensor, gain: Tensor, offset: Tensor, pool: bool) -> tuple[Tensor, Tensor]:
    """Return the cotangent of x and each plane's part of those of gain and offset, ``(2, N, C)``."""
    n, channels = x.shape[:2]
    _, constants = sizes(x, pool)
    x_c, sums = torch.empty_like(x), torch.empty_like(stats)
    backward_kernel[(n * channels,)](x, stats, gain, offset, y_c, x_c, sums, channels, n * channels, **constants)
    return x_c, sums


def tangent(
    x: Tensor, x_t: Tensor, gain: Tensor, gain_t: Tensor, offset: Tensor, offset_t: Tensor, eps: float, pool: bool
) -> tuple[Tensor, Tensor]:
    """Return y, then its tangent, ``(2N, C, h, w)``, and the statistics ``(4, N, C)``."""
    n, channels = x.shape[:2]
    out, constants = sizes(x, pool)
    both, stats = x.new_empty(2 * n, *out[1:]), x.new_empty(4, n, channels, dtype=torch.float32)
    tangent_kernel[(n * channels,)](
        x, x_t, gain, gain_t, offset, offset_t, both[:n], both[n:], stats, channels, n * channels, eps, **constants
    )
    return both, stats


def tangent_backward(
    y_c: Tensor,
    y_ct: Tensor,
    x: Tensor,
    x_t: Tensor,
    stats: Tensor,
    gain: Tensor,
    gain_t: Tensor,
    offset: Tensor,
    pool: bool,
) -> tuple[Tensor, Tensor]:
    """Return the tangent of x's cotangent, then that cotangent, ``(2N, C, H, W)``, and the parts of gain and offset."""
    n, channels = x.shape[:2]
    _, constants = sizes(x, pool)
    both, sums = x.new_empty(2 * n, *x.shape[1:]), x.new_empty(2, n, channels, dtype=torch.float32)
    tangent_backward_kernel[(n * channels,)](
        x, x_t, stats, gain, gain_t, offset, y_c, y_ct, both[n:], both[:n], sums, channels, n * channels, **constants
    )
    return both, sums
