"""The Triton kernels of `norm_act_pool`, whose head has the formulas: some planes per program, in registers.

A program's planes are a tile of ``(PLANES, BLOCK_QUADS, 4)`` pixels: a row holds the four that are pooled into one, so
that the pool is a sum over a row, within one thread or two. Further rows hold the pixels of an odd last column and row,
four per row. They count in the statistics and are not pooled. Everything is computed in float32. The derivatives of a
channel's gain and offset are left as one number per plane and summed over members afterwards: without atomics the bits
are the same every time. Tensors in channels-last have kernels of their own, in `norm_act_pool_nhwc_triton`.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.runtime.jit import JITFunction

from ddcore.kernels import norm_act_pool_nhwc_triton as nhwc
from ddcore.kernels import norm_act_pool_tiles_triton as tiles
from ddcore.kernels.choice import FUSION, launch, layout_of, new_planes, power_of_two
from ddcore.kernels.norm_act_pool import quads
from ddcore.kernels.norm_act_pool_tiles_triton import each, emit, leave, places, programs, read, receive, total, write

# Planes and warps per program, by kernel and BLOCK_QUADS: 256 is 32x32 and 28x28, 64 is 16x16 and 14x14, 16 is 8x8 and
# 7x7. The fastest of those tried on an H200, for 500 samples of 128 channels. Other sizes follow the rule of
# `launch_of`.
LAUNCHES: dict[tuple[str, int], tuple[int, int]] = {
    ("forward", 256): (1, 2),
    ("backward", 256): (1, 2),
    ("tangent", 256): (1, 2),
    ("tangent_backward", 256): (1, 2),
    ("forward", 64): (2, 1),
    ("backward", 64): (4, 2),
    ("tangent", 64): (2, 1),
    ("tangent_backward", 64): (1, 1),
    ("forward", 16): (8, 1),
    ("backward", 16): (4, 1),
    ("tangent", 16): (4, 1),
    ("tangent_backward", 16): (2, 1),
}
# Pixels per program that the rule aims at, and pixels per thread: a program of one warp adds up a plane without waiting
# for other warps and with the fewest instructions.
HELD, EACH = 512, 16
# Larger planes, from 66x66, are read in tiles of as many rows by programs of as many warps.
TILE, TILE_WARPS = 1024, 8


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
    plane, channel, mine = programs(n_channels, n_planes, PLANES)
    g = each(gain_ptr, channel, mine)
    b = each(offset_ptr, channel, mine)
    _, there = places(0, H, W, BLOCK_QUADS)
    # Two passes over registers: the variance of centred pixels does not cancel, and memory is read once.
    tile = read(x_ptr, plane, mine, 0, H, W, BLOCK_QUADS)
    mean = total(tile) / (H * W)
    centred = tl.where(there, tile - mean, 0.0)
    inverse = 1.0 / tl.sqrt(total(centred * centred) / (H * W) + eps)
    leave(stats_ptr, plane, mine, mean)
    leave(stats_ptr + n_planes, plane, mine, inverse)
    z = tl.where(there, g * centred * inverse + b, 0.0)
    emit(y_ptr, plane, mine, 0, tl.where(z > 0, z, 0.0), H, W, POOL, BLOCK_QUADS)


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
    plane, channel, mine = programs(n_channels, n_planes, PLANES)
    g = each(gain_ptr, channel, mine)
    b = each(offset_ptr, channel, mine)
    mean, inverse = each(stats_ptr, plane, mine), each(stats_ptr + n_planes, plane, mine)
    _, there = places(0, H, W, BLOCK_QUADS)
    normed = tl.where(there, (read(x_ptr, plane, mine, 0, H, W, BLOCK_QUADS) - mean) * inverse, 0.0)
    z_c = tl.where(there & (g * normed + b > 0), receive(y_c_ptr, plane, mine, 0, H, W, POOL, BLOCK_QUADS), 0.0)
    gained, summed = total(z_c * normed), total(z_c)
    leave(sums_ptr, plane, mine, gained)
    leave(sums_ptr + n_planes, plane, mine, summed)
    down = inverse * g * (z_c - summed / (H * W) - normed * (gained / (H * W)))
    write(x_c_ptr, plane, mine, 0, down, H, W, BLOCK_QUADS)


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
    plane, channel, mine = programs(n_channels, n_planes, PLANES)
    g, g_t = each(gain_ptr, channel, mine), each(gain_t_ptr, channel, mine)
    b, b_t = each(offset_ptr, channel, mine), each(offset_t_ptr, channel, mine)
    _, there = places(0, H, W, BLOCK_QUADS)
    tile, moved = read(x_ptr, plane, mine, 0, H, W, BLOCK_QUADS), read(x_t_ptr, plane, mine, 0, H, W, BLOCK_QUADS)
    mean, mean_t = total(tile) / (H * W), total(moved) / (H * W)
    centred = tl.where(there, tile - mean, 0.0)
    inverse = 1.0 / tl.sqrt(total(centred * centred) / (H * W) + eps)
    normed = centred * inverse
    moved = tl.where(there, moved - mean_t, 0.0)
    shared = total(normed * moved) / (H * W)
    leave(stats_ptr, plane, mine, mean)
    leave(stats_ptr + n_planes, plane, mine, inverse)
    leave(stats_ptr + 2 * n_planes, plane, mine, mean_t)
    leave(stats_ptr + 3 * n_planes, plane, mine, shared)
    z = tl.where(there, g * normed + b, 0.0)
    z_t = g_t * normed + g * inverse * (moved - normed * shared) + b_t
    emit(y_ptr, plane, mine, 0, tl.where(z > 0, z, 0.0), H, W, POOL, BLOCK_QUADS)
    emit(y_t_ptr, plane, mine, 0, tl.where(z > 0, z_t, 0.0), H, W, POOL, BLOCK_QUADS)


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
    plane, channel, mine = programs(n_channels, n_planes, PLANES)
    g, g_t = each(gain_ptr, channel, mine), each(gain_t_ptr, channel, mine)
    b = each(offset_ptr, channel, mine)
    mean, inverse = each(stats_ptr, plane, mine), each(stats_ptr + n_planes, plane, mine)
    mean_t, shared = each(stats_ptr + 2 * n_planes, plane, mine), each(stats_ptr + 3 * n_planes, plane, mine)
    _, there = places(0, H, W, BLOCK_QUADS)
    normed = tl.where(there, (read(x_ptr, plane, mine, 0, H, W, BLOCK_QUADS) - mean) * inverse, 0.0)
    moved = tl.where(
        there, (read(x_t_ptr, plane, mine, 0, H, W, BLOCK_QUADS) - mean_t - normed * shared) * inverse, 0.0
    )
    on = there & (g * normed + b > 0)
    z_c = tl.where(on, receive(y_c_ptr, plane, mine, 0, H, W, POOL, BLOCK_QUADS), 0.0)
    z_ct = tl.where(on, receive(y_ct_ptr, plane, mine, 0, H, W, POOL, BLOCK_QUADS), 0.0)
    summed, gained, drifted = total(z_c), total(z_c * normed), total(z_c * moved)
    summed_t, gained_t = total(z_ct), total(z_ct * normed)
    leave(sums_ptr, plane, mine, gained_t + drifted)
    leave(sums_ptr + n_planes, plane, mine, summed_t)
    M: tl.constexpr = H * W
    down = inverse * g * (z_c - summed / M - normed * (gained / M))
    level = (g_t * summed + g * summed_t) / M
    slope = (g_t * gained + g * gained_t + g * drifted) / M
    down_t = inverse * (g_t * z_c + g * z_ct - level - normed * slope - moved * (g * gained / M) - shared * down)
    write(x_c_ptr, plane, mine, 0, down, H, W, BLOCK_QUADS)
    write(x_ct_ptr, plane, mine, 0, down_t, H, W, BLOCK_QUADS)


KERNELS = {
    "forward": (forward_kernel, tiles.forward_kernel),
    "backward": (backward_kernel, tiles.backward_kernel),
    "tangent": (tangent_kernel, tiles.tangent_kernel),
    "tangent_backward": (tangent_backward_kernel, tiles.tangent_backward_kernel),
}


def sizes(
    name: str, x: Tensor, pool: bool, layout: torch.memory_format = torch.contiguous_format
) -> tuple[JITFunction, dict[str, int]]:
    """Return the kernel of this name for planes like those of x ``(N, C, H, W)``, in its layout, and its constants.

    The other layout is that of the output and its cotangents; where x is contiguous, they are.
    """
    height, width = x.shape[2:]
    shape = {"H": height, "W": width, "POOL": pool, **FUSION}
    if layout_of(x) == torch.channels_last:
        block = power_of_two(quads(x))
        channels, warps = nhwc.launch_of(name, block)
        last = layout == torch.channels_last
        blocks = {"BLOCK_CHANNELS": channels, "BLOCK_QUADS": block, "LAST": last}
        return nhwc.KERNELS[name], {**shape, **blocks, "num_warps": warps}
    pooled = (height // 2) * (width // 2)
    rows = pooled + -(-(height * width - 4 * pooled) // 4)
    block = power_of_two(rows)
    small, large = KERNELS[name]
    if block > TILE:
        return large, {**shape, "ROWS": rows, "BLOCK_QUADS": TILE, "num_warps": TILE_WARPS}
    planes, warps = launch_of(name, block)
    return small, {**shape, "PLANES": planes, "BLOCK_QUADS": block, "num_warps": warps}


def launch_of(name: str, block: int) -> tuple[int, int]:
    """Return planes and warps per program for planes of `block` rows of four pixels."""
    planes = max(1, HELD // (4 * block))
    return LAUNCHES.get((name, block), (planes, min(8, max(1, planes * 4 * block // (32 * EACH)))))


def _run(name: str, x: Tensor, pool: bool, outer: Tensor, *given: Tensor | float) -> None:
    """Launch the kernel of this name on all planes of `x`, with these arguments before its constants.

    `outer` is the output or its cotangent.
    """
    kernel, constants = sizes(name, x, pool, layout_of(outer))
    n, channels = x.shape[:2]
    if "BLOCK_CHANNELS" in constants:
        count = n * triton.cdiv(channels, constants["BLOCK_CHANNELS"])
    else:
        count = triton.cdiv(n * channels, constants.get("PLANES", 1))
    launch(kernel, (count,), *given, on=x, **constants)


def _output(x: Tensor, pool: bool, layout: torch.memory_format, copies: int = 1) -> Tensor:
    """Return an empty tensor for this many outputs of the block, in this layout."""
    n, channels, height, width = x.shape
    sides = (height // 2, width // 2) if pool else (height, width)
    return new_planes(x, (copies * n, channels, *sides), layout)


def forward(
    x: Tensor, gain: Tensor, offset: Tensor, eps: float, pool: bool, layout: torch.memory_format
) -> tuple[Tensor, Tensor]:
    """Return y in this layout and the statistics of the planes ``(2, N, C)``."""
    n, c = x.shape[:2]
    y, stats = _output(x, pool, layout), x.new_empty(2, n, c, dtype=torch.float32)
    _run("forward", x, pool, y, x, gain, offset, y, stats, c, n * c, eps)
    return y, stats


def backward(y_c: Tensor, x: Tensor, stats: Tensor, gain: Tensor, offset: Tensor, pool: bool) -> tuple[Tensor, Tensor]:
    """Return the cotangent of x and each plane's part of those of gain and offset, ``(2, N, C)``."""
    n, c = x.shape[:2]
    x_c, sums = torch.empty_like(x), torch.empty_like(stats)
    _run("backward", x, pool, y_c, x, stats, gain, offset, y_c, x_c, sums, c, n * c)
    return x_c, sums


def tangent(
    x: Tensor,
    x_t: Tensor,
    gain: Tensor,
    gain_t: Tensor,
    offset: Tensor,
    offset_t: Tensor,
    eps: float,
    pool: bool,
    layout: torch.memory_format,
) -> tuple[Tensor, Tensor]:
    """Return y, then its tangent, ``(2N, C, h, w)`` in this layout, and the statistics ``(4, N, C)``."""
    n, c = x.shape[:2]
    both, stats = _output(x, pool, layout, 2), x.new_empty(4, n, c, dtype=torch.float32)
    outs = both[:n], both[n:], stats
    _run("tangent", x, pool, both, x, x_t, gain, gain_t, offset, offset_t, *outs, c, n * c, eps)
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
    n, c = x.shape[:2]
    both, sums = _output(x, False, layout_of(x), 2), x.new_empty(2, n, c, dtype=torch.float32)
    given = x, x_t, stats, gain, gain_t, offset, y_c, y_ct, both[n:], both[:n], sums
    _run("tangent_backward", x, pool, y_c, *given, c, n * c)
    return both, sums
