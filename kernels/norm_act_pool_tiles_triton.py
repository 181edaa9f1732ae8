"""The parts of `norm_act_pool`'s Triton kernels, and those for planes that do not fit into registers.

Here a program reads one plane twice, tile by tile: first for its statistics or sums, then for what it writes. Means and
variances of tiles are combined without cancellation:

    mean += d n' / (n + n'),   S += S' + d² n n' / (n + n'),   d = mean' - mean

for n pixels before a tile and n' in it, with S the sum of squared distances from the mean. In the same way the sum of
products of x and x' about their means.
"""

import triton
import triton.language as tl


@triton.jit
def programs(n_channels, n_planes, PLANES: tl.constexpr):
    """Return the program's planes, their channels, and which planes exist: three ``(PLANES,)``."""
    plane = tl.program_id(0) * PLANES + tl.arange(0, PLANES)
    return plane.to(tl.int64), plane % n_channels, plane < n_planes


@triton.jit
def each(base_ptr, place, there):
    """Return one number per plane, in float32: ``(PLANES, 1, 1)``."""
    return tl.load(base_ptr + place, mask=there, other=0.0).to(tl.float32)[:, None, None]


@triton.jit
def places(first, H: tl.constexpr, W: tl.constexpr, BLOCK_QUADS: tl.constexpr):
    """Return the places of a tile's pixels in their plane, and which exist: two ``(1, BLOCK_QUADS, 4)``.

    A row holds the four pixels that are pooled into one; rows after these hold the pixels of an odd last column and
    row, four per row. `first` is the tile's first row in the plane.
    """
    row = first + tl.arange(0, BLOCK_QUADS)[None, :, None]
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
def read(x_ptr, plane, mine, first, H: tl.constexpr, W: tl.constexpr, BLOCK_QUADS: tl.constexpr):
    """Return planes ``(PLANES, BLOCK_QUADS, 4)`` in float32, zero where there is no pixel."""
    place, there = places(first, H, W, BLOCK_QUADS)
    where = (plane * H * W)[:, None, None] + place
    return tl.load(x_ptr + where, mask=there & mine[:, None, None], other=0.0).to(tl.float32)


@triton.jit
def write(x_ptr, plane, mine, first, tile, H: tl.constexpr, W: tl.constexpr, BLOCK_QUADS: tl.constexpr):
    """Store planes ``(PLANES, BLOCK_QUADS, 4)``."""
    place, there = places(first, H, W, BLOCK_QUADS)
    where = (plane * H * W)[:, None, None] + place
    tl.store(x_ptr + where, tile.to(x_ptr.dtype.element_ty), mask=there & mine[:, None, None])


@triton.jit
def emit(
    y_ptr, plane, mine, first, tile, H: tl.constexpr, W: tl.constexpr, POOL: tl.constexpr, BLOCK_QUADS: tl.constexpr
):
    """Store the output of the block: the planes pooled or unchanged."""
    if POOL:
        pooled: tl.constexpr = (H // 2) * (W // 2)
        row = first + tl.arange(0, BLOCK_QUADS)[None, :]
        where, there = (plane * pooled)[:, None] + row, mine[:, None] & (row < pooled)
        tl.store(y_ptr + where, (tl.sum(tile, 2) * 0.25).to(y_ptr.dtype.element_ty), mask=there)
    else:
        write(y_ptr, plane, mine, first, tile, H, W, BLOCK_QUADS)


@triton.jit
def receive(
    y_c_ptr, plane, mine, first, H: tl.constexpr, W: tl.constexpr, POOL: tl.constexpr, BLOCK_QUADS: tl.constexpr
):
    """Return the cotangents of the pixels from those of the output; pooled pixels share one: one column."""
    if POOL:
        pooled: tl.constexpr = (H // 2) * (W // 2)
        row = first + tl.arange(0, BLOCK_QUADS)[None, :]
        where, there = (plane * pooled)[:, None] + row, mine[:, None] & (row < pooled)
        return (tl.load(y_c_ptr + where, mask=there, other=0.0).to(tl.float32) * 0.25)[:, :, None]
    else:
        return read(y_c_ptr, plane, mine, first, H, W, BLOCK_QUADS)


@triton.jit
def total(tile):
    """Return the sum over each plane: ``(PLANES, 1, 1)``."""
    # One sum over a reshaped tile has a tenth fewer instructions, but Triton 3.6 compiles it wrongly: on an H200 the
    # sums of planes of 16x16 and smaller were off by a tenth. The interpreter does not show it, tests/kernels on a GPU
    # does.
    return tl.sum(tl.sum(tile, 2), 1)[:, None, None]


@triton.jit
def leave(base_ptr, plane, mine, values):
    """Store one number per plane ``(PLANES, 1, 1)``."""
    tl.store(base_ptr + plane[:, None, None], values, mask=mine[:, None, None])


@triton.jit
def sizes_of(first, H: tl.constexpr, W: tl.constexpr, BLOCK_QUADS: tl.constexpr):
    """Return the number of pixels before a tile that begins with this row, and in it; only the last row is not full."""
    before = 4.0 * first
    return before, tl.minimum(before + 4 * BLOCK_QUADS, H * W) - before


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
    ROWS: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
):
    """Write y and, to `stats` ``(2, planes)``, the means and inverse deviations."""
    plane, channel, mine = programs(n_channels, n_planes, 1)
    g, b = each(gain_ptr, channel, mine), each(offset_ptr, channel, mine)
    mean, spread = tl.zeros([1, 1, 1], tl.float32), tl.zeros([1, 1, 1], tl.float32)
    for first in range(0, ROWS, BLOCK_QUADS):
        before, within = sizes_of(first, H, W, BLOCK_QUADS)
        _, there = places(first, H, W, BLOCK_QUADS)
        tile = read(x_ptr, plane, mine, first, H, W, BLOCK_QUADS)
        here = total(tile) / within
        centred = tl.where(there, tile - here, 0.0)
        step = here - mean
        spread += total(centred * centred) + step * step * (before * within / (before + within))
        mean += step * (within / (before + within))
    inverse = 1.0 / tl.sqrt(spread / (H * W) + eps)
    leave(stats_ptr, plane, mine, mean)
    leave(stats_ptr + n_planes, plane, mine, inverse)
    for first in range(0, ROWS, BLOCK_QUADS):
        _, there = places(first, H, W, BLOCK_QUADS)
        z = g * (read(x_ptr, plane, mine, first, H, W, BLOCK_QUADS) - mean) * inverse + b
        emit(y_ptr, plane, mine, first, tl.where(there & (z > 0), z, 0.0), H, W, POOL, BLOCK_QUADS)


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
    ROWS: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
):
    """Write the cotangent of x and, to `sums` ``(2, planes)``, each plane's part of the gain's and the offset's."""
    plane, channel, mine = programs(n_channels, n_planes, 1)
    g, b = each(gain_ptr, channel, mine), each(offset_ptr, channel, mine)
    mean, inverse = each(stats_ptr, plane, mine), each(stats_ptr + n_planes, plane, mine)
    gained, summed = tl.zeros([1, 1, 1], tl.float32), tl.zeros([1, 1, 1], tl.float32)
    for first in range(0, ROWS, BLOCK_QUADS):
        _, there = places(first, H, W, BLOCK_QUADS)
        normed = tl.where(there, (read(x_ptr, plane, mine, first, H, W, BLOCK_QUADS) - mean) * inverse, 0.0)
        up = receive(y_c_ptr, plane, mine, first, H, W, POOL, BLOCK_QUADS)
        z_c = tl.where(there & (g * normed + b > 0), up, 0.0)
        gained += total(z_c * normed)
        summed += total(z_c)
    leave(sums_ptr, plane, mine, gained)
    leave(sums_ptr + n_planes, plane, mine, summed)
    for first in range(0, ROWS, BLOCK_QUADS):
        _, there = places(first, H, W, BLOCK_QUADS)
        normed = tl.where(there, (read(x_ptr, plane, mine, first, H, W, BLOCK_QUADS) - mean) * inverse, 0.0)
        up = receive(y_c_ptr, plane, mine, first, H, W, POOL, BLOCK_QUADS)
        z_c = tl.where(there & (g * normed + b > 0), up, 0.0)
        down = inverse * g * (z_c - summed / (H * W) - normed * (gained / (H * W)))
        write(x_c_ptr, plane, mine, first, down, H, W, BLOCK_QUADS)


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
    ROWS: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
):
    """Write y, its tangent and, to `stats` ``(4, planes)``: mean(x), r, mean(x') and mean(xh x')."""
    plane, channel, mine = programs(n_channels, n_planes, 1)
    g, g_t = each(gain_ptr, channel, mine), each(gain_t_ptr, channel, mine)
    b, b_t = each(offset_ptr, channel, mine), each(offset_t_ptr, channel, mine)
    mean, mean_t = tl.zeros([1, 1, 1], tl.float32), tl.zeros([1, 1, 1], tl.float32)
    spread, joint = tl.zeros([1, 1, 1], tl.float32), tl.zeros([1, 1, 1], tl.float32)
    for first in range(0, ROWS, BLOCK_QUADS):
        before, within = sizes_of(first, H, W, BLOCK_QUADS)
        _, there = places(first, H, W, BLOCK_QUADS)
        tile = read(x_ptr, plane, mine, first, H, W, BLOCK_QUADS)
        moved = read(x_t_ptr, plane, mine, first, H, W, BLOCK_QUADS)
        here, here_t = total(tile) / within, total(moved) / within
        tile, moved = tl.where(there, tile - here, 0.0), tl.where(there, moved - here_t, 0.0)
        step, step_t = here - mean, here_t - mean_t
        spread += total(tile * tile) + step * step * (before * within / (before + within))
        joint += total(tile * moved) + step * step_t * (before * within / (before + within))
        mean += step * (within / (before + within))
        mean_t += step_t * (within / (before + within))
    inverse = 1.0 / tl.sqrt(spread / (H * W) + eps)
    shared = inverse * joint / (H * W)
    leave(stats_ptr, plane, mine, mean)
    leave(stats_ptr + n_planes, plane, mine, inverse)
    leave(stats_ptr + 2 * n_planes, plane, mine, mean_t)
    leave(stats_ptr + 3 * n_planes, plane, mine, shared)
    for first in range(0, ROWS, BLOCK_QUADS):
        _, there = places(first, H, W, BLOCK_QUADS)
        normed = (read(x_ptr, plane, mine, first, H, W, BLOCK_QUADS) - mean) * inverse
        moved = read(x_t_ptr, plane, mine, first, H, W, BLOCK_QUADS) - mean_t
        z = g * normed + b
        on = there & (z > 0)
        z_t = g_t * normed + g * inverse * (moved - normed * shared) + b_t
        emit(y_ptr, plane, mine, first, tl.where(on, z, 0.0), H, W, POOL, BLOCK_QUADS)
        emit(y_t_ptr, plane, mine, first, tl.where(on, z_t, 0.0), H, W, POOL, BLOCK_QUADS)


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
    ROWS: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
):
    """Write the cotangent of x, its tangent and, to `sums` ``(2, planes)``, the tangents of gain's and offset's."""
    plane, channel, mine = programs(n_channels, n_planes, 1)
    g, g_t = each(gain_ptr, channel, mine), each(gain_t_ptr, channel, mine)
    b = each(offset_ptr, channel, mine)
    mean, inverse = each(stats_ptr, plane, mine), each(stats_ptr + n_planes, plane, mine)
    mean_t, shared = each(stats_ptr + 2 * n_planes, plane, mine), each(stats_ptr + 3 * n_planes, plane, mine)
    summed, gained, drifted = (
        tl.zeros([1, 1, 1], tl.float32),
        tl.zeros([1, 1, 1], tl.float32),
        tl.zeros([1, 1, 1], tl.float32),
    )
    summed_t, gained_t = tl.zeros([1, 1, 1], tl.float32), tl.zeros([1, 1, 1], tl.float32)
    for first in range(0, ROWS, BLOCK_QUADS):
        _, there = places(first, H, W, BLOCK_QUADS)
        normed = tl.where(there, (read(x_ptr, plane, mine, first, H, W, BLOCK_QUADS) - mean) * inverse, 0.0)
        moved = (read(x_t_ptr, plane, mine, first, H, W, BLOCK_QUADS) - mean_t - normed * shared) * inverse
        on = there & (g * normed + b > 0)
        z_c = tl.where(on, receive(y_c_ptr, plane, mine, first, H, W, POOL, BLOCK_QUADS), 0.0)
        z_ct = tl.where(on, receive(y_ct_ptr, plane, mine, first, H, W, POOL, BLOCK_QUADS), 0.0)
        summed += total(z_c)
        gained += total(z_c * normed)
        drifted += total(z_c * moved)
        summed_t += total(z_ct)
        gained_t += total(z_ct * normed)
    leave(sums_ptr, plane, mine, gained_t + drifted)
    leave(sums_ptr + n_planes, plane, mine, summed_t)
    M: tl.constexpr = H * W
    level = (g_t * summed + g * summed_t) / M
    slope = (g_t * gained + g * gained_t + g * drifted) / M
    for first in range(0, ROWS, BLOCK_QUADS):
        _, there = places(first, H, W, BLOCK_QUADS)
        normed = (read(x_ptr, plane, mine, first, H, W, BLOCK_QUADS) - mean) * inverse
        moved = (read(x_t_ptr, plane, mine, first, H, W, BLOCK_QUADS) - mean_t - normed * shared) * inverse
        on = there & (g * normed + b > 0)
        z_c = tl.where(on, receive(y_c_ptr, plane, mine, first, H, W, POOL, BLOCK_QUADS), 0.0)
        z_ct = tl.where(on, receive(y_ct_ptr, plane, mine, first, H, W, POOL, BLOCK_QUADS), 0.0)
        down = inverse * g * (z_c - summed / M - normed * (gained / M))
        down_t = inverse * (g_t * z_c + g * z_ct - level - normed * slope - moved * (g * gained / M) - shared * down)
        write(x_c_ptr, plane, mine, first, down, H, W, BLOCK_QUADS)
        write(x_ct_ptr, plane, mine, first, down_t, H, W, BLOCK_QUADS)
