"""The Triton kernels of `first_block`, whose head has the formulas: a program per sample and group of channels.

A plane is a tile of ``(BLOCK_QUADS, 4)`` pixels: a row holds the 2x2 pixels that are pooled into one. Where a side is
odd, the last row or column of quads sticks out of the plane; pixels outside count as none. The four pixels of a quad
and the nine weights of a channel meet 4x4 pixels of the image. A program reads these patches once, keeps them in
registers, and computes the convolution from them for each of its channels. The derivative in the image is summed over
the channels in the same form, and PyTorch's ``fold`` adds the patches up, which overlap.

Everything is computed in float32. Derivatives of weights, gains and offsets are left as one number per sample, and
those of the image as one set of patches per group of channels; the caller sums them. Without atomics the bits are the
same every time.
"""

import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional as F

from ddcore.kernels.choice import launch
from ddcore.kernels.first_block import Pairs, Saved, sizes


@triton.jit
def _patches(
    x_ptr,
    sample,
    CHANNELS: tl.constexpr,
    H: tl.constexpr,
    W: tl.constexpr,
    PADDING: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
):
    """Return the image around every quad, zero beyond its border: a tuple of ``16 CHANNELS`` tiles (BLOCK_QUADS,)."""
    across: tl.constexpr = (W + 2 * PADDING - 1) // 2
    quad = tl.arange(0, BLOCK_QUADS)
    tiles = ()
    for k in tl.static_range(16 * CHANNELS):
        row = 2 * (quad // across) + (k % 16 // 4 - PADDING)
        column = 2 * (quad % across) + (k % 4 - PADDING)
        there = (row >= 0) & (row < H) & (column >= 0) & (column < W)
        place = (sample * CHANNELS + k // 16) * H * W + row * W + column
        tiles += (tl.load(x_ptr + place, mask=there, other=0.0),)  # type: ignore[assignment]
    return tiles


@triton.jit
def _places(H: tl.constexpr, W: tl.constexpr, PADDING: tl.constexpr, BLOCK_QUADS: tl.constexpr):
    """Return which pixels of a tile exist, and the places of the pooled ones and which of those exist."""
    height: tl.constexpr = H + 2 * PADDING - 2
    width: tl.constexpr = W + 2 * PADDING - 2
    quad = tl.arange(0, BLOCK_QUADS)
    row, column = quad // ((width + 1) // 2), quad % ((width + 1) // 2)
    pixel = tl.arange(0, 4)[None, :]
    there = (2 * row[:, None] + pixel // 2 < height) & (2 * column[:, None] + pixel % 2 < width)
    return there, row * (width // 2) + column, (row < height // 2) & (column < width // 2)


@triton.jit
def _group(n_channels, n_group):
    """Return a program's sample, its first channel and the one after its last."""
    groups = tl.cdiv(n_channels, n_group)
    first = (tl.program_id(0) % groups) * n_group
    return (tl.program_id(0) // groups).to(tl.int64), first, tl.minimum(first + n_group, n_channels)


@triton.jit
def _weights(w_ptr, channel, CHANNELS: tl.constexpr):
    """Return the weights of a channel: a tuple of ``9 CHANNELS`` numbers."""
    numbers = ()
    for k in tl.static_range(9 * CHANNELS):
        numbers += (tl.load(w_ptr + channel * (9 * CHANNELS) + k),)  # type: ignore[assignment]
    return numbers


@triton.jit
def _seen(patches, k: tl.constexpr):
    """Return the pixels of the image that weight k meets: ``(BLOCK_QUADS, 4)``, the registers of the patches."""
    corner: tl.constexpr = k // 9 * 16 + k % 9 // 3 * 4 + k % 3
    left = tl.join(patches[corner], patches[corner + 4])
    right = tl.join(patches[corner + 1], patches[corner + 5])
    both = tl.join(left, right)
    return tl.reshape(both, (both.shape[0], 4))


@triton.jit
def _convolved(patches, weights, CHANNELS: tl.constexpr):
    """Return a channel's plane ``(BLOCK_QUADS, 4)`` before its norm."""
    tile = weights[0] * _seen(patches, 0)
    for k in tl.static_range(1, 9 * CHANNELS):
        tile += weights[k] * _seen(patches, k)
    return tile


@triton.jit
def _total(tile):
    return tl.sum(tl.sum(tile, 1), 0)


@triton.jit
def _store_weights(w_c_ptr, plane, patches, u_c, CHANNELS: tl.constexpr):
    """Store a plane's part of the cotangents of its channel's weights; `u_c` is that of the convolution."""
    for k in tl.static_range(9 * CHANNELS):
        tl.store(w_c_ptr + plane * (9 * CHANNELS) + k, _total(u_c * _seen(patches, k)))


@triton.jit
def _pixels(tile):
    """Return the four pixels of each quad as a tuple of tiles (BLOCK_QUADS,)."""
    left, right = tl.split(tl.reshape(tile, (tile.shape[0], 2, 2)))
    first, third = tl.split(left)
    second, fourth = tl.split(right)
    return first, second, third, fourth


@triton.jit
def _reached(tile, weights, pixels, k: tl.constexpr, pixel: tl.constexpr):
    """Add to tile k of some patches what one pixel of each quad gives to it."""
    row: tl.constexpr = k % 16 // 4 - pixel // 2
    column: tl.constexpr = k % 4 - pixel % 2
    if row >= 0 and row < 3 and column >= 0 and column < 3:
        tile += weights[k // 16 * 9 + row * 3 + column] * pixels[pixel]
    return tile


@triton.jit
def _scattered(patches, weights, pixels, CHANNELS: tl.constexpr):
    """Return patches of the image's cotangent, to which those of the pixels' cotangents are added."""
    tiles = ()
    for k in tl.static_range(16 * CHANNELS):
        tile = patches[k]
        for pixel in tl.static_range(4):
            tile = _reached(tile, weights, pixels, k, pixel)
        tiles += (tile,)  # type: ignore[assignment]
    return tiles


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
):
    """Write y and, to `stats` ``(2, planes)``, the means and inverse deviations of the convolution's planes."""
    M: tl.constexpr = (H + 2 * PADDING - 2) * (W + 2 * PADDING - 2)
    N_POOLED: tl.constexpr = ((H + 2 * PADDING - 2) // 2) * ((W + 2 * PADDING - 2) // 2)
    sample, first, last = _group(n_channels, n_group)
    there, place, pooled = _places(H, W, PADDING, BLOCK_QUADS)
    patches = _patches(x_ptr, sample, CHANNELS, H, W, PADDING, BLOCK_QUADS)
    for channel in range(first, last):
        plane = sample * n_channels + channel
        g, b = tl.load(gain_ptr + channel), tl.load(offset_ptr + channel)
        tile = _convolved(patches, _weights(w_ptr, channel, CHANNELS), CHANNELS)
        mean = _total(tl.where(there, tile, 0.0)) / M
        centred = tl.where(there, tile - mean, 0.0)
        inverse = 1.0 / tl.sqrt(_total(centred * centred) / M + eps)
        tl.store(stats_ptr + plane, mean)
        tl.store(stats_ptr + n_planes + plane, inverse)
        z = g * centred * inverse + b
        tl.store(y_ptr + plane * N_POOLED + place, tl.sum(tl.where(z > 0, z, 0.0), 1) * 0.25, mask=pooled)


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
):
    """Write each plane's part of the cotangents of w and, to `sums` ``(2, planes)``, of the gain's and the offset's."""
    M: tl.constexpr = (H + 2 * PADDING - 2) * (W + 2 * PADDING - 2)
    N_POOLED: tl.constexpr = ((H + 2 * PADDING - 2) // 2) * ((W + 2 * PADDING - 2) // 2)
    sample, first, last = _group(n_channels, n_group)
    there, place, pooled = _places(H, W, PADDING, BLOCK_QUADS)
    patches = _patches(x_ptr, sample, CHANNELS, H, W, PADDING, BLOCK_QUADS)
    for channel in range(first, last):
        plane = sample * n_channels + channel
        g, b = tl.load(gain_ptr + channel), tl.load(offset_ptr + channel)
        mean, inverse = tl.load(stats_ptr + plane), tl.load(stats_ptr + n_planes + plane)
        up = tl.load(y_c_ptr + plane * N_POOLED + place, mask=pooled, other=0.0)[:, None] * 0.25
        tile = _convolved(patches, _weights(w_ptr, channel, CHANNELS), CHANNELS)
        normed = tl.where(there, (tile - mean) * inverse, 0.0)
        z_c = tl.where(there & (g * normed + b > 0), up, 0.0)
        gained, summed = _total(z_c * normed), _total(z_c)
        tl.store(sums_ptr + plane, gained)
        tl.store(sums_ptr + n_planes + plane, summed)
        down = inverse * g * (z_c - summed / M - normed * (gained / M))
        _store_weights(w_c_ptr, plane, patches, tl.where(there, down, 0.0), CHANNELS)


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
):
    """Write y, its tangent and, to `stats` ``(4, planes)``: mean(u), r, mean(u') and mean(xh u')."""
    M: tl.constexpr = (H + 2 * PADDING - 2) * (W + 2 * PADDING - 2)
    N_POOLED: tl.constexpr = ((H + 2 * PADDING - 2) // 2) * ((W + 2 * PADDING - 2) // 2)
    sample, first, last = _group(n_channels, n_group)
    there, place, pooled = _places(H, W, PADDING, BLOCK_QUADS)
    patches = _patches(x_ptr, sample, CHANNELS, H, W, PADDING, BLOCK_QUADS)
    for channel in range(first, last):
        plane = sample * n_channels + channel
        g, g_t = tl.load(gain_ptr + channel), tl.load(gain_t_ptr + channel)
        b, b_t = tl.load(offset_ptr + channel), tl.load(offset_t_ptr + channel)
        tile = _convolved(patches, _weights(w_ptr, channel, CHANNELS), CHANNELS)
        moved = _convolved(patches, _weights(w_t_ptr, channel, CHANNELS), CHANNELS)
        mean, mean_t = _total(tl.where(there, tile, 0.0)) / M, _total(tl.where(there, moved, 0.0)) / M
        centred = tl.where(there, tile - mean, 0.0)
        inverse = 1.0 / tl.sqrt(_total(centred * centred) / M + eps)
        normed = centred * inverse
        moved = tl.where(there, moved - mean_t, 0.0)
        shared = _total(normed * moved) / M
        tl.store(stats_ptr + plane, mean)
        tl.store(stats_ptr + n_planes + plane, inverse)
        tl.store(stats_ptr + 2 * n_planes + plane, mean_t)
        tl.store(stats_ptr + 3 * n_planes + plane, shared)
        z = g * normed + b
        z_t = g_t * normed + g * inverse * (moved - normed * shared) + b_t
        at = plane * N_POOLED + place
        tl.store(y_ptr + at, tl.sum(tl.where(z > 0, z, 0.0), 1) * 0.25, mask=pooled)
        tl.store(y_t_ptr + at, tl.sum(tl.where(z > 0, z_t, 0.0), 1) * 0.25, mask=pooled)


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
):
    """Write the tangents of what `backward_kernel` writes, and a group's part of the image's derivative in patches."""
    M: tl.constexpr = (H + 2 * PADDING - 2) * (W + 2 * PADDING - 2)
    N_POOLED: tl.constexpr = ((H + 2 * PADDING - 2) // 2) * ((W + 2 * PADDING - 2) // 2)
    N_QUADS: tl.constexpr = ((H + 2 * PADDING - 1) // 2) * ((W + 2 * PADDING - 1) // 2)
    sample, first, last = _group(n_channels, n_group)
    there, place, pooled = _places(H, W, PADDING, BLOCK_QUADS)
    patches = _patches(x_ptr, sample, CHANNELS, H, W, PADDING, BLOCK_QUADS)
    drawn = ()
    for _ in tl.static_range(16 * CHANNELS):
        drawn += (tl.zeros((BLOCK_QUADS,), tl.float32),)  # type: ignore[assignment]
    for channel in range(first, last):
        plane = sample * n_channels + channel
        g, g_t = tl.load(gain_ptr + channel), tl.load(gain_t_ptr + channel)
        b = tl.load(offset_ptr + channel)
        mean, inverse = tl.load(stats_ptr + plane), tl.load(stats_ptr + n_planes + plane)
        mean_t, shared = tl.load(stats_ptr + 2 * n_planes + plane), tl.load(stats_ptr + 3 * n_planes + plane)
        up = tl.load(y_c_ptr + plane * N_POOLED + place, mask=pooled, other=0.0)[:, None] * 0.25
        up_t = tl.load(y_ct_ptr + plane * N_POOLED + place, mask=pooled, other=0.0)[:, None] * 0.25
        weights, weights_t = _weights(w_ptr, channel, CHANNELS), _weights(w_t_ptr, channel, CHANNELS)
        normed = tl.where(there, (_convolved(patches, weights, CHANNELS) - mean) * inverse, 0.0)
        moved = (_convolved(patches, weights_t, CHANNELS) - mean_t - normed * shared) * inverse
        moved = tl.where(there, moved, 0.0)
        on = there & (g * normed + b > 0)
        z_c, z_ct = tl.where(on, up, 0.0), tl.where(on, up_t, 0.0)
        summed, gained, drifted = _total(z_c), _total(z_c * normed), _total(z_c * moved)
        summed_t, gained_t = _total(z_ct), _total(z_ct * normed)
        tl.store(sums_ptr + plane, gained_t + drifted)
        tl.store(sums_ptr + n_planes + plane, summed_t)
        down = inverse * g * (z_c - summed / M - normed * (gained / M))
        level = (g_t * summed + g * summed_t) / M
        slope = (g_t * gained + g * gained_t + g * drifted) / M
        down_t = inverse * (g_t * z_c + g * z_ct - level - normed * slope - moved * (g * gained / M) - shared * down)
        down, down_t = tl.where(there, down, 0.0), tl.where(there, down_t, 0.0)
        _store_weights(w_ct_ptr, plane, patches, down_t, CHANNELS)
        drawn = _scattered(drawn, weights, _pixels(down_t), CHANNELS)
        drawn = _scattered(drawn, weights_t, _pixels(down), CHANNELS)
    quad = tl.arange(0, BLOCK_QUADS)
    row = tl.program_id(0).to(tl.int64) * (16 * CHANNELS)
    for k in tl.static_range(16 * CHANNELS):
        tl.store(patches_ptr + (row + k) * N_QUADS + quad, drawn[k], mask=quad < N_QUADS)


def forward(x: Tensor, w: Tensor, gain: Tensor, offset: Tensor, padding: int, eps: float) -> tuple[Tensor, Tensor]:
    """Return y and the statistics of the planes ``(2, N, C)``."""
    grid, counts, constants, pooled = _launch("forward", x, w, padding)
    y, stats = x.new_empty(pooled), x.new_empty(2, *pooled[:2])
    launch(forward_kernel, grid, x, w, gain, offset, y, stats, *counts, eps, on=x, **constants)
    return y, stats


def backward(y_c: Tensor, saved: Saved, gain: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Return the parts of the cotangents of w, ``(N, C, Cin, 3, 3)``, and of gain and offset, ``(2, N, C)``."""
    x, w = saved.x.contiguous(), saved.w.contiguous()
    grid, counts, constants, (n, c, *_) = _launch("backward", x, w, saved.padding)
    w_c, sums = x.new_empty(n, *w.shape), x.new_empty(2, n, c)
    launch(backward_kernel, grid, x, w, saved.stats, gain, offset, y_c, w_c, sums, *counts, on=x, **constants)
    return w_c, sums


def tangent(x: Tensor, pairs: Pairs, padding: int, eps: float) -> tuple[Tensor, Tensor]:
    """Return y, then its tangent, ``(2N, C, h, w)``, and the statistics ``(4, N, C)``.

    The pairs are w, gain and offset, each followed by its tangent.
    """
    grid, counts, constants, (n, c, *pooled) = _launch("tangent", x, pairs[0], padding)
    both, stats = x.new_empty(2 * n, c, *pooled), x.new_empty(4, n, c)
    launch(tangent_kernel, grid, x, *pairs, both[:n], both[n:], stats, *counts, eps, on=x, **constants)
    return both, stats


def tangent_backward(
    y_c: Tensor, y_ct: Tensor, saved: Saved, gain: Tensor, gain_t: Tensor, offset: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the tangents of what `backward` returns, and the derivative in the image, of x's shape."""
    assert saved.w_t is not None
    x, w, w_t, padding = saved.x.contiguous(), saved.w.contiguous(), saved.w_t.contiguous(), saved.padding
    grid, counts, constants, (n, c, *_) = _launch("tangent_backward", x, w, padding)
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
    op: str, x: Tensor, w: Tensor, padding: int
) -> tuple[tuple[int], tuple[int, int, int], dict[str, int], tuple[int, int, int, int]]:
    """Return the grid, the numbers that every kernel takes, its constants, and the shape of the block's output."""
    (n, _, height, width), channels = x.shape, w.shape[0]
    group, constants = sizes(op, x, padding)
    pooled = (height + 2 * padding - 2) // 2, (width + 2 * padding - 2) // 2
    return (n * -(-channels // group),), (channels, n * channels, group), constants, (n, channels, *pooled)
