"""The Triton kernels of `first_block`, whose head has the formulas: a program per sample and group of channels.

A plane is a tile of ``(BLOCK_QUADS, 4)`` pixels: a row holds the 2x2 pixels that are pooled into one. Where a side is
odd, the last row or column of quads sticks out of the plane; pixels outside count as none. The four pixels of a quad
and the nine weights of a channel meet 4x4 pixels of the image. A program reads these patches once, keeps them in
registers, and computes the convolution from them for each of its channels. The derivative in the image is summed over
the channels in the same form, and PyTorch's ``fold`` adds the patches up, which overlap.

Everything is computed in float32. Derivatives of weights, gains and offsets are left as one number per sample, and
those of the image as one set of patches per group of channels; the caller sums them. Without atomics the bits are the
same every time. In channels-last a program computes four channels of a pixel before it stores them together.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional as F

from ddcore.kernels.choice import launch, layout_of, new_planes
from ddcore.kernels.first_block import Pairs, Saved, sizes
from ddcore.kernels.first_block_parts_triton import (
    convolved,
    find_outputs,
    find_places,
    load_cotangents,
    pixels_of,
    read_patches,
    read_weights,
    scattered,
    share,
    store_outputs,
    store_weights,
    total,
)


@triton.jit
def forward_kernel(
    x_ptr,
    w_ptr,
    gain_ptr,
    offset_ptr,
    y_ptr,
    stats_ptr,
    n_channels,
    n_planes,
    n_group,
    eps,
    CHANNELS: tl.constexpr,
    H: tl.constexpr,
    W: tl.constexpr,
    PADDING: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
    TOGETHER: tl.constexpr,
):
    """Write y and, to `stats` ``(2, planes)``, the means and inverse deviations of the convolution's planes."""
    M: tl.constexpr = (H + 2 * PADDING - 2) * (W + 2 * PADDING - 2)
    N_POOLED: tl.constexpr = ((H + 2 * PADDING - 2) // 2) * ((W + 2 * PADDING - 2) // 2)
    sample, first, last = share(n_channels, n_group)
    there, place, pooled = find_places(H, W, PADDING, BLOCK_QUADS)
    patches = read_patches(x_ptr, sample, CHANNELS, H, W, PADDING, BLOCK_QUADS)
    for begin in range(first, last, TOGETHER):
        where, exist = find_outputs(sample, begin, n_channels, place, pooled, N_POOLED, TOGETHER)
        outputs = ()
        for k in tl.static_range(TOGETHER):
            channel = begin + k
            plane = sample * n_channels + channel
            g, b = tl.load(gain_ptr + channel), tl.load(offset_ptr + channel)
            tile = convolved(patches, read_weights(w_ptr, channel, CHANNELS), CHANNELS)
            mean = total(tl.where(there, tile, 0.0)) / M
            centred = tl.where(there, tile - mean, 0.0)
            inverse = 1.0 / tl.sqrt(total(centred * centred) / M + eps)
            tl.store(stats_ptr + plane, mean)
            tl.store(stats_ptr + n_planes + plane, inverse)
            z = g * centred * inverse + b
            outputs += (tl.sum(tl.where(z > 0, z, 0.0), 1) * 0.25,)  # type: ignore[assignment]
        store_outputs(y_ptr, where, exist, outputs, TOGETHER)


@triton.jit
def backward_kernel(
    x_ptr,
    w_ptr,
    stats_ptr,
    gain_ptr,
    offset_ptr,
    y_c_ptr,
    w_c_ptr,
    sums_ptr,
    n_channels,
    n_planes,
    n_group,
    CHANNELS: tl.constexpr,
    H: tl.constexpr,
    W: tl.constexpr,
    PADDING: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
    TOGETHER: tl.constexpr,
):
    """Write each plane's part of the cotangents of w and, to `sums` ``(2, planes)``, of the gain's and the offset's."""
    M: tl.constexpr = (H + 2 * PADDING - 2) * (W + 2 * PADDING - 2)
    N_POOLED: tl.constexpr = ((H + 2 * PADDING - 2) // 2) * ((W + 2 * PADDING - 2) // 2)
    sample, first, last = share(n_channels, n_group)
    there, place, pooled = find_places(H, W, PADDING, BLOCK_QUADS)
    patches = read_patches(x_ptr, sample, CHANNELS, H, W, PADDING, BLOCK_QUADS)
    for begin in range(first, last, TOGETHER):
        where, exist = find_outputs(sample, begin, n_channels, place, pooled, N_POOLED, TOGETHER)
        ups = load_cotangents(y_c_ptr, where, exist, TOGETHER)
        for k in tl.static_range(TOGETHER):
            channel = begin + k
            plane = sample * n_channels + channel
            g, b = tl.load(gain_ptr + channel), tl.load(offset_ptr + channel)
            mean, inverse = tl.load(stats_ptr + plane), tl.load(stats_ptr + n_planes + plane)
            tile = convolved(patches, read_weights(w_ptr, channel, CHANNELS), CHANNELS)
            normed = tl.where(there, (tile - mean) * inverse, 0.0)
            z_c = tl.where(there & (g * normed + b > 0), ups[k][:, None], 0.0)
            gained, summed = total(z_c * normed), total(z_c)
            tl.store(sums_ptr + plane, gained)
            tl.store(sums_ptr + n_planes + plane, summed)
            down = inverse * g * (z_c - summed / M - normed * (gained / M))
            store_weights(w_c_ptr, plane, patches, tl.where(there, down, 0.0), CHANNELS)


@triton.jit
def tangent_kernel(
    x_ptr,
    w_ptr,
    w_t_ptr,
    gain_ptr,
    gain_t_ptr,
    offset_ptr,
    offset_t_ptr,
    y_ptr,
    y_t_ptr,
    stats_ptr,
    n_channels,
    n_planes,
    n_group,
    eps,
    CHANNELS: tl.constexpr,
    H: tl.constexpr,
    W: tl.constexpr,
    PADDING: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
    TOGETHER: tl.constexpr,
):
    """Write y, its tangent and, to `stats` ``(4, planes)``: mean(u), r, mean(u') and mean(xh u')."""
    M: tl.constexpr = (H + 2 * PADDING - 2) * (W + 2 * PADDING - 2)
    N_POOLED: tl.constexpr = ((H + 2 * PADDING - 2) // 2) * ((W + 2 * PADDING - 2) // 2)
    sample, first, last = share(n_channels, n_group)
    there, place, pooled = find_places(H, W, PADDING, BLOCK_QUADS)
    patches = read_patches(x_ptr, sample, CHANNELS, H, W, PADDING, BLOCK_QUADS)
    for begin in range(first, last, TOGETHER):
        where, exist = find_outputs(sample, begin, n_channels, place, pooled, N_POOLED, TOGETHER)
        outputs, outputs_t = (), ()
        for k in tl.static_range(TOGETHER):
            channel = begin + k
            plane = sample * n_channels + channel
            g, g_t = tl.load(gain_ptr + channel), tl.load(gain_t_ptr + channel)
            b, b_t = tl.load(offset_ptr + channel), tl.load(offset_t_ptr + channel)
            tile = convolved(patches, read_weights(w_ptr, channel, CHANNELS), CHANNELS)
            moved = convolved(patches, read_weights(w_t_ptr, channel, CHANNELS), CHANNELS)
            mean, mean_t = total(tl.where(there, tile, 0.0)) / M, total(tl.where(there, moved, 0.0)) / M
            centred = tl.where(there, tile - mean, 0.0)
            inverse = 1.0 / tl.sqrt(total(centred * centred) / M + eps)
            normed = centred * inverse
            moved = tl.where(there, moved - mean_t, 0.0)
            shared = total(normed * moved) / M
            tl.store(stats_ptr + plane, mean)
            tl.store(stats_ptr + n_planes + plane, inverse)
            tl.store(stats_ptr + 2 * n_planes + plane, mean_t)
            tl.store(stats_ptr + 3 * n_planes + plane, shared)
            z = g * normed + b
            z_t = g_t * normed + g * inverse * (moved - normed * shared) + b_t
            outputs += (tl.sum(tl.where(z > 0, z, 0.0), 1) * 0.25,)  # type: ignore[assignment]
            outputs_t += (tl.sum(tl.where(z > 0, z_t, 0.0), 1) * 0.25,)  # type: ignore[assignment]
        store_outputs(y_ptr, where, exist, outputs, TOGETHER)
        store_outputs(y_t_ptr, where, exist, outputs_t, TOGETHER)


@triton.jit
def tangent_backward_kernel(
    x_ptr,
    w_ptr,
    w_t_ptr,
    stats_ptr,
    gain_ptr,
    gain_t_ptr,
    offset_ptr,
    y_c_ptr,
    y_ct_ptr,
    w_ct_ptr,
    sums_ptr,
    patches_ptr,
    n_channels,
    n_planes,
    n_group,
    CHANNELS: tl.constexpr,
    H: tl.constexpr,
    W: tl.constexpr,
    PADDING: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
    TOGETHER: tl.constexpr,
):
    """Write the tangents of what `backward_kernel` writes, and a group's part of the image's derivative in patches."""
    M: tl.constexpr = (H + 2 * PADDING - 2) * (W + 2 * PADDING - 2)
    N_POOLED: tl.constexpr = ((H + 2 * PADDING - 2) // 2) * ((W + 2 * PADDING - 2) // 2)
    N_QUADS: tl.constexpr = ((H + 2 * PADDING - 1) // 2) * ((W + 2 * PADDING - 1) // 2)
    sample, first, last = share(n_channels, n_group)
    there, place, pooled = find_places(H, W, PADDING, BLOCK_QUADS)
    patches = read_patches(x_ptr, sample, CHANNELS, H, W, PADDING, BLOCK_QUADS)
    drawn = ()
    for _ in tl.static_range(16 * CHANNELS):
        drawn += (tl.zeros((BLOCK_QUADS,), tl.float32),)  # type: ignore[assignment]
    for begin in range(first, last, TOGETHER):
        where, exist = find_outputs(sample, begin, n_channels, place, pooled, N_POOLED, TOGETHER)
        ups = load_cotangents(y_c_ptr, where, exist, TOGETHER)
        ups_t = load_cotangents(y_ct_ptr, where, exist, TOGETHER)
        for k in tl.static_range(TOGETHER):
            channel = begin + k
            plane = sample * n_channels + channel
            g, g_t = tl.load(gain_ptr + channel), tl.load(gain_t_ptr + channel)
            b = tl.load(offset_ptr + channel)
            mean, inverse = tl.load(stats_ptr + plane), tl.load(stats_ptr + n_planes + plane)
            mean_t, shared = tl.load(stats_ptr + 2 * n_planes + plane), tl.load(stats_ptr + 3 * n_planes + plane)
            weights, weights_t = read_weights(w_ptr, channel, CHANNELS), read_weights(w_t_ptr, channel, CHANNELS)
            normed = tl.where(there, (convolved(patches, weights, CHANNELS) - mean) * inverse, 0.0)
            moved = (convolved(patches, weights_t, CHANNELS) - mean_t - normed * shared) * inverse
            moved = tl.where(there, moved, 0.0)
            on = there & (g * normed + b > 0)
            z_c, z_ct = tl.where(on, ups[k][:, None], 0.0), tl.where(on, ups_t[k][:, None], 0.0)
            summed, gained, drifted = total(z_c), total(z_c * normed), total(z_c * moved)
            summed_t, gained_t = total(z_ct), total(z_ct * normed)
            tl.store(sums_ptr + plane, gained_t + drifted)
            tl.store(sums_ptr + n_planes + plane, summed_t)
            down = inverse * g * (z_c - summed / M - normed * (gained / M))
            level = (g_t * summed + g * summed_t) / M
            slope = (g_t * gained + g * gained_t + g * drifted) / M
            down_t = inverse * (
                g_t * z_c + g * z_ct - level - normed * slope - moved * (g * gained / M) - shared * down
            )
            down, down_t = tl.where(there, down, 0.0), tl.where(there, down_t, 0.0)
            store_weights(w_ct_ptr, plane, patches, down_t, CHANNELS)
            drawn = scattered(drawn, weights, pixels_of(down_t), CHANNELS)
            drawn = scattered(drawn, weights_t, pixels_of(down), CHANNELS)
    quad = tl.arange(0, BLOCK_QUADS)
    row = tl.program_id(0).to(tl.int64) * (16 * CHANNELS)
    for k in tl.static_range(16 * CHANNELS):
        tl.store(patches_ptr + (row + k) * N_QUADS + quad, drawn[k], mask=quad < N_QUADS)


def forward(
    x: Tensor, w: Tensor, gain: Tensor, offset: Tensor, padding: int, eps: float, layout: torch.memory_format
) -> tuple[Tensor, Tensor]:
    """Return y in this layout and the statistics of the planes ``(2, N, C)``."""
    grid, counts, constants, pooled = _launch("forward", x, w, padding, layout)
    y, stats = new_planes(x, pooled, layout), x.new_empty(2, *pooled[:2])
    launch(forward_kernel, grid, x, w, gain, offset, y, stats, *counts, eps, on=x, **constants)
    return y, stats


def backward(y_c: Tensor, saved: Saved, gain: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Return the parts of the cotangents of w, ``(N, C, Cin, 3, 3)``, and of gain and offset, ``(2, N, C)``."""
    x, w = saved.x.contiguous(), saved.w.contiguous()
    grid, counts, constants, (n, c, *_) = _launch("backward", x, w, saved.padding, layout_of(y_c))
    w_c, sums = x.new_empty(n, *w.shape), x.new_empty(2, n, c)
    launch(backward_kernel, grid, x, w, saved.stats, gain, offset, y_c, w_c, sums, *counts, on=x, **constants)
    return w_c, sums


def tangent(x: Tensor, pairs: Pairs, padding: int, eps: float, layout: torch.memory_format) -> tuple[Tensor, Tensor]:
    """Return y, then its tangent, ``(2N, C, h, w)`` in this layout, and the statistics ``(4, N, C)``.

    The pairs are w, gain and offset, each followed by its tangent.
    """
    grid, counts, constants, (n, c, *pooled) = _launch("tangent", x, pairs[0], padding, layout)
    both, stats = new_planes(x, (2 * n, c, *pooled), layout), x.new_empty(4, n, c)
    launch(tangent_kernel, grid, x, *pairs, both[:n], both[n:], stats, *counts, eps, on=x, **constants)
    return both, stats


def tangent_backward(
    y_c: Tensor, y_ct: Tensor, saved: Saved, gain: Tensor, gain_t: Tensor, offset: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the tangents of what `backward` returns, and the derivative in the image, of x's shape."""
    assert saved.w_t is not None
    x, w, w_t, padding = saved.x.contiguous(), saved.w.contiguous(), saved.w_t.contiguous(), saved.padding
    grid, counts, constants, (n, c, *_) = _launch("tangent_backward", x, w, padding, layout_of(y_c))
    _, channels, height, width = x.shape
    rows, columns = (height + 2 * padding - 1) // 2, (width + 2 * padding - 1) // 2
    w_ct, sums = x.new_empty(n, *w.shape), x.new_empty(2, n, c)
    patches = x.new_empty(n, grid[0] // n, 16 * channels, rows * columns)
    given = (x, w, w_t, saved.stats, gain, gain_t, offset, y_c, y_ct, w_ct, sums, patches, *counts)
    launch(tangent_backward_kernel, grid, *given, on=x, **constants)
    # Where the plane has an odd side, the last quads reach one pixel beyond it.
    size = (2 * rows + 2 - 2 * padding, 2 * columns + 2 - 2 * padding)
    x_ct = F.fold(patches.sum(1), size, kernel_size=4, padding=padding, stride=2)
    return w_ct, sums, x_ct[:, :, :height, :width]


def _launch(
    op: str, x: Tensor, w: Tensor, padding: int, layout: torch.memory_format
) -> tuple[tuple[int], tuple[int, int, int], dict[str, int], tuple[int, int, int, int]]:
    """Return the grid, the numbers that every kernel takes, its constants, and the shape of the block's output."""
    (n, _, height, width), channels = x.shape, w.shape[0]
    group, constants = sizes(op, x, padding, layout)
    pooled = (height + 2 * padding - 2) // 2, (width + 2 * padding - 2) // 2
    return (n * -(-channels // group),), (channels, n * channels, group), constants, (n, channels, *pooled)
