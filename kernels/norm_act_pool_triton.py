"""The Triton kernels of `kernels.norm_act_pool`, whose head has the formulas: one program a plane, in registers.

A plane is a tile of ``(BLOCK, 4)`` pixels: a row holds the four that are pooled into one. Rows after those hold the
pixels of an odd last column and row, four of them a row, which count in the statistics and are pooled nowhere.
Everything is computed in float32. What a channel's gain and offset receive is left as a number a plane, and summed
over members afterwards, so that it has the same bits every time.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.choice import FUSION, power_of_two


@triton.jit
def _places(H: tl.constexpr, W: tl.constexpr, BLOCK: tl.constexpr):
    """Return where the pixels of a tile lie in their plane, and whether there is one: two ``(BLOCK, 4)``."""
    row = tl.arange(0, BLOCK)[:, None]
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
def _read(x, plane, H: tl.constexpr, W: tl.constexpr, BLOCK: tl.constexpr):
    """Return a plane in float32, zero where there is no pixel."""
    place, there = _places(H, W, BLOCK)
    return tl.load(x + plane * H * W + place, mask=there, other=0.0).to(tl.float32)


@triton.jit
def _write(x, plane, tile, H: tl.constexpr, W: tl.constexpr, BLOCK: tl.constexpr):
    place, there = _places(H, W, BLOCK)
    tl.store(x + plane * H * W + place, tile.to(x.dtype.element_ty), mask=there)


@triton.jit
def _emit(y, plane, tile, H: tl.constexpr, W: tl.constexpr, POOL: tl.constexpr, BLOCK: tl.constexpr):
    """Store what leaves the block: the plane pooled, or as it is."""
    if POOL:
        pooled: tl.constexpr = (H // 2) * (W // 2)
        row = tl.arange(0, BLOCK)
        tl.store(y + plane * pooled + row, (tl.sum(tile, 1) * 0.25).to(y.dtype.element_ty), mask=row < pooled)
    else:
        _write(y, plane, tile, H, W, BLOCK)


@triton.jit
def _receive(y_c, plane, H: tl.constexpr, W: tl.constexpr, POOL: tl.constexpr, BLOCK: tl.constexpr):
    """Return the cotangents of a plane's pixels for those of what left the block; one column if all four share it."""
    if POOL:
        pooled: tl.constexpr = (H // 2) * (W // 2)
        row = tl.arange(0, BLOCK)
        up = tl.load(y_c + plane * pooled + row, mask=row < pooled, other=0.0).to(tl.float32) * 0.25
        return up[:, None]
    else:
        return _read(y_c, plane, H, W, BLOCK)


@triton.jit
def _total(tile):
    return tl.sum(tl.sum(tile, 1), 0)


@triton.jit
def forward_kernel(
    x,
    gain,
    offset,
    y,
    stats,
    channels,
    planes,
    eps,
    H: tl.constexpr,
    W: tl.constexpr,
    POOL: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write y and, to `stats` ``(2, planes)``, the means and inverse deviations."""
    plane = tl.program_id(0).to(tl.int64)
    g = tl.load(gain + plane % channels).to(tl.float32)
    b = tl.load(offset + plane % channels).to(tl.float32)
    _, there = _places(H, W, BLOCK)
    tile = _read(x, plane, H, W, BLOCK)
    mean = _total(tile) / (H * W)
    centred = tl.where(there, tile - mean, 0.0)
    inverse = 1.0 / tl.sqrt(_total(centred * centred) / (H * W) + eps)
    tl.store(stats + plane, mean)
    tl.store(stats + planes + plane, inverse)
    z = tl.where(there, g * centred * inverse + b, 0.0)
    _emit(y, plane, tl.where(z > 0, z, 0.0), H, W, POOL, BLOCK)


@triton.jit
def backward_kernel(
    x,
    stats,
    gain,
    offset,
    y_c,
    x_c,
    sums,
    channels,
    planes,
    H: tl.constexpr,
    W: tl.constexpr,
    POOL: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write the cotangent of x and, to `sums` ``(2, planes)``, what gain and offset receive from each plane."""
    plane = tl.program_id(0).to(tl.int64)
    g = tl.load(gain + plane % channels).to(tl.float32)
    b = tl.load(offset + plane % channels).to(tl.float32)
    mean, inverse = tl.load(stats + plane), tl.load(stats + planes + plane)
    _, there = _places(H, W, BLOCK)
    normed = tl.where(there, (_read(x, plane, H, W, BLOCK) - mean) * inverse, 0.0)
    z_c = tl.where(there & (g * normed + b > 0), _receive(y_c, plane, H, W, POOL, BLOCK), 0.0)
    gained, summed = _total(z_c * normed), _total(z_c)
    tl.store(sums + plane, gained)
    tl.store(sums + planes + plane, summed)
    _write(x_c, plane, inverse * g * (z_c - summed / (H * W) - normed * (gained / (H * W))), H, W, BLOCK)


@triton.jit
def tangent_kernel(
    x,
    x_t,
    gain,
    gain_t,
    offset,
    offset_t,
    y,
    y_t,
    stats,
    channels,
    planes,
    eps,
    H: tl.constexpr,
    W: tl.constexpr,
    POOL: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write y, its tangent and, to `stats` ``(4, planes)``: mean(x), r, mean(x') and mean(xh x')."""
    plane = tl.program_id(0).to(tl.int64)
    channel = plane % channels
    g, g_t = tl.load(gain + channel).to(tl.float32), tl.load(gain_t + channel).to(tl.float32)
    b, b_t = tl.load(offset + channel).to(tl.float32), tl.load(offset_t + channel).to(tl.float32)
    _, there = _places(H, W, BLOCK)
    tile, moved = _read(x, plane, H, W, BLOCK), _read(x_t, plane, H, W, BLOCK)
    mean, mean_t = _total(tile) / (H * W), _total(moved) / (H * W)
    centred = tl.where(there, tile - mean, 0.0)
    inverse = 1.0 / tl.sqrt(_total(centred * centred) / (H * W) + eps)
    normed = centred * inverse
    moved = tl.where(there, moved - mean_t, 0.0)
    shared = _total(normed * moved) / (H * W)
    tl.store(stats + plane, mean)
    tl.store(stats + planes + plane, inverse)
    tl.store(stats + 2 * planes + plane, mean_t)
    tl.store(stats + 3 * planes + plane, shared)
    z = tl.where(there, g * normed + b, 0.0)
    z_t = g_t * normed + g * inverse * (moved - normed * shared) + b_t
    _emit(y, plane, tl.where(z > 0, z, 0.0), H, W, POOL, BLOCK)
    _emit(y_t, plane, tl.where(z > 0, z_t, 0.0), H, W, POOL, BLOCK)


@triton.jit
def tangent_backward_kernel(
    x,
    x_t,
    stats,
    gain,
    gain_t,
    offset,
    y_c,
    y_ct,
    x_c,
    x_ct,
    sums,
    channels,
    planes,
    H: tl.constexpr,
    W: tl.constexpr,
    POOL: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write the cotangent of x, its tangent and, to `sums` ``(2, planes)``, the tangents of gain's and offset's."""
    plane = tl.program_id(0).to(tl.int64)
    channel = plane % channels
    g, g_t = tl.load(gain + channel).to(tl.float32), tl.load(gain_t + channel).to(tl.float32)
    b = tl.load(offset + channel).to(tl.float32)
    mean, inverse = tl.load(stats + plane), tl.load(stats + planes + plane)
    mean_t, shared = tl.load(stats + 2 * planes + plane), tl.load(stats + 3 * planes + plane)
    _, there = _places(H, W, BLOCK)
    normed = tl.where(there, (_read(x, plane, H, W, BLOCK) - mean) * inverse, 0.0)
    moved = tl.where(there, (_read(x_t, plane, H, W, BLOCK) - mean_t - normed * shared) * inverse, 0.0)
    on = there & (g * normed + b > 0)
    z_c = tl.where(on, _receive(y_c, plane, H, W, POOL, BLOCK), 0.0)
    z_ct = tl.where(on, _receive(y_ct, plane, H, W, POOL, BLOCK), 0.0)
    summed, gained, drifted = _total(z_c), _total(z_c * normed), _total(z_c * moved)
    summed_t, gained_t = _total(z_ct), _total(z_ct * normed)
    tl.store(sums + plane, gained_t + drifted)
    tl.store(sums + planes + plane, summed_t)
    M: tl.constexpr = H * W
    down = inverse * g * (z_c - summed / M - normed * (gained / M))
    level = (g_t * summed + g * summed_t) / M
    slope = (g_t * gained + g * gained_t + g * drifted) / M
    down_t = inverse * (g_t * z_c + g * z_ct - level - normed * slope - moved * (g * gained / M) - shared * down)
    _write(x_c, plane, down, H, W, BLOCK)
    _write(x_ct, plane, down_t, H, W, BLOCK)


def sizes(x: Tensor, pool: bool) -> tuple[tuple[int, ...], dict[str, int]]:
    """Return the shape of the block's output and the kernels' constants for planes like those of `x`."""
    n, channels, height, width = x.shape
    pooled = (height // 2) * (width // 2)
    block = power_of_two(pooled + -(-(height * width - 4 * pooled) // 4))
    out = (n, channels, height // 2, width // 2) if pool else tuple(x.shape)
    warps = min(8, max(1, block // 64))
    return out, {"H": height, "W": width, "POOL": pool, "BLOCK": block, "num_warps": warps, **FUSION}


def forward(x: Tensor, gain: Tensor, offset: Tensor, eps: float, pool: bool) -> tuple[Tensor, Tensor]:
    """Return y and the planes' statistics ``(2, N, C)``."""
    n, channels = x.shape[:2]
    out, constants = sizes(x, pool)
    y, stats = x.new_empty(out), x.new_empty(2, n, channels, dtype=torch.float32)
    forward_kernel[(n * channels,)](x, gain, offset, y, stats, channels, n * channels, eps, **constants)
    return y, stats


def backward(y_c: Tensor, x: Tensor, stats: Tensor, gain: Tensor, offset: Tensor, pool: bool) -> tuple[Tensor, Tensor]:
    """Return the cotangent of x and the planes' shares of those of gain and offset, ``(2, N, C)``."""
    n, channels = x.shape[:2]
    _, constants = sizes(x, pool)
    x_c, sums = torch.empty_like(x), torch.empty_like(stats)
    backward_kernel[(n * channels,)](x, stats, gain, offset, y_c, x_c, sums, channels, n * channels, **constants)
    return x_c, sums


def tangent(
    x: Tensor, x_t: Tensor, gain: Tensor, gain_t: Tensor, offset: Tensor, offset_t: Tensor, eps: float, pool: bool
) -> tuple[Tensor, Tensor]:
    """Return y above its tangent, ``(2N, C, h, w)``, and the statistics ``(4, N, C)``."""
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
    """Return the tangent of x's cotangent above that, ``(2N, C, H, W)``, and the shares of gain and offset."""
    n, channels = x.shape[:2]
    _, constants = sizes(x, pool)
    both, sums = x.new_empty(2 * n, *x.shape[1:]), x.new_empty(2, n, channels, dtype=torch.float32)
    tangent_backward_kernel[(n * channels,)](
        x, x_t, stats, gain, gain_t, offset, y_c, y_ct, both[n:], both[:n], sums, channels, n * channels, **constants
    )
    return both, sums
