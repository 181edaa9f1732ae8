"""The Triton kernels of `norm_act_pool`, whose head has the formulas: some planes per program, in registers.

A program's planes are a tile of ``(PLANES, BLOCK_QUADS, 4)`` pixels: a row holds the four that are pooled into one, so
that the pool is a sum over a row, within one thread or two. Further rows hold the pixels of an odd last column and row,
four per row. They count in the statistics and are not pooled. Everything is computed in float32. The derivatives of a
channel's gain and offset are left as one number per plane and summed over members afterwards: without atomics the bits
are the same every time.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ddcore.kernels.choice import FUSION, launch, power_of_two

# Planes and warps per program, by kernel and BLOCK_QUADS: 256 is 32x32 and 28x28, 64 is 16x16 and 14x14, 16 is 8x8 and
# 7x7. Other sizes follow the rule in `launch_of`.
LAUNCHES: dict[tuple[str, int], tuple[int, int]] = {}
# Pixels per program that the rule aims at, and pixels per thread.
HELD, EACH = 1024, 8


@triton.jit
def _planes(n_channels, n_planes, PLANES: tl.constexpr):
    """Return the program's planes, their channels, and which planes exist: three ``(PLANES,)``."""
    plane = tl.program_id(0) * PLANES + tl.arange(0, PLANES)
    return plane.to(tl.int64), plane % n_channels, plane < n_planes


@triton.jit
def _each(base_ptr, place, there):
    """Return one number per plane, in float32: ``(PLANES, 1, 1)``."""
    return tl.load(base_ptr + place, mask=there, other=0.0).to(tl.float32)[:, None, None]


@triton.jit
def _places(H: tl.constexpr, W: tl.constexpr, BLOCK_QUADS: tl.constexpr):
    """Return the places of a tile's pixels in their plane, and which exist: two ``(1, BLOCK_QUADS, 4)``."""
    row = tl.arange(0, BLOCK_QUADS)[None, :, None]
    quarter = tl.arange(0, 4)[None, None, :]
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
def _read(x_ptr, plane, mine, H: tl.constexpr, W: tl.constexpr, BLOCK_QUADS: tl.constexpr):
    """Return planes ``(PLANES, BLOCK_QUADS, 4)`` in float32, zero where there is no pixel."""
    place, there = _places(H, W, BLOCK_QUADS)
    where = (plane * H * W)[:, None, None] + place
    return tl.load(x_ptr + where, mask=there & mine[:, None, None], other=0.0).to(tl.float32)


@triton.jit
def _write(x_ptr, plane, mine, tile, H: tl.constexpr, W: tl.constexpr, BLOCK_QUADS: tl.constexpr):
    place, there = _places(H, W, BLOCK_QUADS)
    where = (plane * H * W)[:, None, None] + place
    tl.store(x_ptr + where, tile.to(x_ptr.dtype.element_ty), mask=there & mine[:, None, None])


@triton.jit
def _emit(y_ptr, plane, mine, tile, H: tl.constexpr, W: tl.constexpr, POOL: tl.constexpr, BLOCK_QUADS: tl.constexpr):
    """Store the output of the block: the planes pooled or unchanged."""
    if POOL:
        pooled: tl.constexpr = (H // 2) * (W // 2)
        row = tl.arange(0, BLOCK_QUADS)[None, :]
        where, there = (plane * pooled)[:, None] + row, mine[:, None] & (row < pooled)
        tl.store(y_ptr + where, (tl.sum(tile, 2) * 0.25).to(y_ptr.dtype.element_ty), mask=there)
    else:
        _write(y_ptr, plane, mine, tile, H, W, BLOCK_QUADS)


@triton.jit
def _receive(y_c_ptr, plane, mine, H: tl.constexpr, W: tl.constexpr, POOL: tl.constexpr, BLOCK_QUADS: tl.constexpr):
    """Return the cotangents of the pixels from those of the output; pooled pixels share one: one column."""
    if POOL:
        pooled: tl.constexpr = (H // 2) * (W // 2)
        row = tl.arange(0, BLOCK_QUADS)[None, :]
        where, there = (plane * pooled)[:, None] + row, mine[:, None] & (row < pooled)
        return (tl.load(y_c_ptr + where, mask=there, other=0.0).to(tl.float32) * 0.25)[:, :, None]
    else:
        return _read(y_c_ptr, plane, mine, H, W, BLOCK_QUADS)


@triton.jit
def _total(tile):
    """Return the sum over each plane: ``(PLANES, 1, 1)``."""
    return tl.sum(tl.sum(tile, 2), 1)[:, None, None]


@triton.jit
def _leave(base_ptr, plane, mine, values):
    """Store one number per plane ``(PLANES, 1, 1)``."""
    tl.store(base_ptr + plane[:, None, None], values, mask=mine[:, None, None])


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
    PLANES: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
):
    """Write y and, to `stats` ``(2, planes)``, the means and inverse deviations."""
    plane, channel, mine = _planes(n_channels, n_planes, PLANES)
    g = _each(gain_ptr, channel, mine)
    b = _each(offset_ptr, channel, mine)
    _, there = _places(H, W, BLOCK_QUADS)
    # Two passes over registers: the variance of centred pixels does not cancel, and memory is read once.
    tile = _read(x_ptr, plane, mine, H, W, BLOCK_QUADS)
    mean = _total(tile) / (H * W)
    centred = tl.where(there, tile - mean, 0.0)
    inverse = 1.0 / tl.sqrt(_total(centred * centred) / (H * W) + eps)
    _leave(stats_ptr, plane, mine, mean)
    _leave(stats_ptr + n_planes, plane, mine, inverse)
    z = tl.where(there, g * centred * inverse + b, 0.0)
    _emit(y_ptr, plane, mine, tl.where(z > 0, z, 0.0), H, W, POOL, BLOCK_QUADS)


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
    PLANES: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
):
    """Write the cotangent of x and, to `sums` ``(2, planes)``, each plane's part of the gain's and the offset's."""
    plane, channel, mine = _planes(n_channels, n_planes, PLANES)
    g = _each(gain_ptr, channel, mine)
    b = _each(offset_ptr, channel, mine)
    mean, inverse = _each(stats_ptr, plane, mine), _each(stats_ptr + n_planes, plane, mine)
    _, there = _places(H, W, BLOCK_QUADS)
    normed = tl.where(there, (_read(x_ptr, plane, mine, H, W, BLOCK_QUADS) - mean) * inverse, 0.0)
    z_c = tl.where(there & (g * normed + b > 0), _receive(y_c_ptr, plane, mine, H, W, POOL, BLOCK_QUADS), 0.0)
    gained, summed = _total(z_c * normed), _total(z_c)
    _leave(sums_ptr, plane, mine, gained)
    _leave(sums_ptr + n_planes, plane, mine, summed)
    _write(
        x_c_ptr, plane, mine, inverse * g * (z_c - summed / (H * W) - normed * (gained / (H * W))), H, W, BLOCK_QUADS
    )


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
    PLANES: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
):
    """Write y, its tangent and, to `stats` ``(4, planes)``: mean(x), r, mean(x') and mean(xh x')."""
    plane, channel, mine = _planes(n_channels, n_planes, PLANES)
    g, g_t = _each(gain_ptr, channel, mine), _each(gain_t_ptr, channel, mine)
    b, b_t = _each(offset_ptr, channel, mine), _each(offset_t_ptr, channel, mine)
    _, there = _places(H, W, BLOCK_QUADS)
    tile, moved = _read(x_ptr, plane, mine, H, W, BLOCK_QUADS), _read(x_t_ptr, plane, mine, H, W, BLOCK_QUADS)
    mean, mean_t = _total(tile) / (H * W), _total(moved) / (H * W)
    centred = tl.where(there, tile - mean, 0.0)
    inverse = 1.0 / tl.sqrt(_total(centred * centred) / (H * W) + eps)
    normed = centred * inverse
    moved = tl.where(there, moved - mean_t, 0.0)
    shared = _total(normed * moved) / (H * W)
    _leave(stats_ptr, plane, mine, mean)
    _leave(stats_ptr + n_planes, plane, mine, inverse)
    _leave(stats_ptr + 2 * n_planes, plane, mine, mean_t)
    _leave(stats_ptr + 3 * n_planes, plane, mine, shared)
    z = tl.where(there, g * normed + b, 0.0)
    z_t = g_t * normed + g * inverse * (moved - normed * shared) + b_t
    _emit(y_ptr, plane, mine, tl.where(z > 0, z, 0.0), H, W, POOL, BLOCK_QUADS)
    _emit(y_t_ptr, plane, mine, tl.where(z > 0, z_t, 0.0), H, W, POOL, BLOCK_QUADS)


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
    PLANES: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
):
    """Write the cotangent of x, its tangent and, to `sums` ``(2, planes)``, the tangents of gain's and offset's."""
    plane, channel, mine = _planes(n_channels, n_planes, PLANES)
    g, g_t = _each(gain_ptr, channel, mine), _each(gain_t_ptr, channel, mine)
    b = _each(offset_ptr, channel, mine)
    mean, inverse = _each(stats_ptr, plane, mine), _each(stats_ptr + n_planes, plane, mine)
    mean_t, shared = _each(stats_ptr + 2 * n_planes, plane, mine), _each(stats_ptr + 3 * n_planes, plane, mine)
    _, there = _places(H, W, BLOCK_QUADS)
    normed = tl.where(there, (_read(x_ptr, plane, mine, H, W, BLOCK_QUADS) - mean) * inverse, 0.0)
    moved = tl.where(there, (_read(x_t_ptr, plane, mine, H, W, BLOCK_QUADS) - mean_t - normed * shared) * inverse, 0.0)
    on = there & (g * normed + b > 0)
    z_c = tl.where(on, _receive(y_c_ptr, plane, mine, H, W, POOL, BLOCK_QUADS), 0.0)
    z_ct = tl.where(on, _receive(y_ct_ptr, plane, mine, H, W, POOL, BLOCK_QUADS), 0.0)
    summed, gained, drifted = _total(z_c), _total(z_c * normed), _total(z_c * moved)
    summed_t, gained_t = _total(z_ct), _total(z_ct * normed)
    _leave(sums_ptr, plane, mine, gained_t + drifted)
    _leave(sums_ptr + n_planes, plane, mine, summed_t)
    M: tl.constexpr = H * W
    down = inverse * g * (z_c - summed / M - normed * (gained / M))
    level = (g_t * summed + g * summed_t) / M
    slope = (g_t * gained + g * gained_t + g * drifted) / M
    down_t = inverse * (g_t * z_c + g * z_ct - level - normed * slope - moved * (g * gained / M) - shared * down)
    _write(x_c_ptr, plane, mine, down, H, W, BLOCK_QUADS)
    _write(x_ct_ptr, plane, mine, down_t, H, W, BLOCK_QUADS)


def sizes(kernel: str, x: Tensor, pool: bool) -> tuple[tuple[int, ...], dict[str, int]]:
    """Return the shape of the block's output and a kernel's constants for planes like those of `x`.

    Args:
        kernel: its name without ``_kernel``.
        x: ``(N, C, H, W)``.
        pool: whether the output is pooled.
    """
    n, channels, height, width = x.shape
    pooled = (height // 2) * (width // 2)
    block = power_of_two(pooled + -(-(height * width - 4 * pooled) // 4))
    planes, warps = launch_of(kernel, block)
    out = (n, channels, height // 2, width // 2) if pool else tuple(x.shape)
    constants = {"H": height, "W": width, "POOL": pool, "PLANES": planes, "BLOCK_QUADS": block, "num_warps": warps}
    return out, {**constants, **FUSION}


def launch_of(kernel: str, block: int) -> tuple[int, int]:
    """Return planes and warps per program for planes of `block` rows of four pixels."""
    planes = max(1, HELD // (4 * block))
    return LAUNCHES.get((kernel, block), (planes, min(8, max(1, planes * 4 * block // (32 * EACH)))))


def _grid(planes: int, constants: dict[str, int]) -> tuple[int]:
    return (triton.cdiv(planes, constants["PLANES"]),)


def forward(x: Tensor, gain: Tensor, offset: Tensor, eps: float, pool: bool) -> tuple[Tensor, Tensor]:
    """Return y and the statistics of the planes ``(2, N, C)``."""
    n, channels = x.shape[:2]
    out, constants = sizes("forward", x, pool)
    y, stats = x.new_empty(out), x.new_empty(2, n, channels, dtype=torch.float32)
    launch(
        forward_kernel,
        _grid(n * channels, constants),
        x,
        gain,
        offset,
        y,
        stats,
        channels,
        n * channels,
        eps,
        on=x,
        **constants,
    )
    return y, stats


def backward(y_c: Tensor, x: Tensor, stats: Tensor, gain: Tensor, offset: Tensor, pool: bool) -> tuple[Tensor, Tensor]:
    """Return the cotangent of x and each plane's part of those of gain and offset, ``(2, N, C)``."""
    n, channels = x.shape[:2]
    _, constants = sizes("backward", x, pool)
    x_c, sums = torch.empty_like(x), torch.empty_like(stats)
    launch(
        backward_kernel,
        _grid(n * channels, constants),
        x,
        stats,
        gain,
        offset,
        y_c,
        x_c,
        sums,
        channels,
        n * channels,
        on=x,
        **constants,
    )
    return x_c, sums


def tangent(
    x: Tensor, x_t: Tensor, gain: Tensor, gain_t: Tensor, offset: Tensor, offset_t: Tensor, eps: float, pool: bool
) -> tuple[Tensor, Tensor]:
    """Return y, then its tangent, ``(2N, C, h, w)``, and the statistics ``(4, N, C)``."""
    n, channels = x.shape[:2]
    out, constants = sizes("tangent", x, pool)
    both, stats = x.new_empty(2 * n, *out[1:]), x.new_empty(4, n, channels, dtype=torch.float32)
    launch(
        tangent_kernel,
        _grid(n * channels, constants),
        x,
        x_t,
        gain,
        gain_t,
        offset,
        offset_t,
        both[:n],
        both[n:],
        stats,
        channels,
        n * channels,
        eps,
        on=x,
        **constants,
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
    _, constants = sizes("tangent_backward", x, pool)
    both, sums = x.new_empty(2 * n, *x.shape[1:]), x.new_empty(2, n, channels, dtype=torch.float32)
    launch(
        tangent_backward_kernel,
        _grid(n * channels, constants),
        x,
        x_t,
        stats,
        gain,
        gain_t,
        offset,
        y_c,
        y_ct,
        both[n:],
        both[:n],
        sums,
        channels,
        n * channels,
        on=x,
        **constants,
    )
    return both, sums
