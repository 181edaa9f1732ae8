"""The Triton kernels of `norm_act_pool` for planes in channels-last: some channels of one sample per program.

In channels-last the channels of a pixel are neighbours in memory. A tile is ``(BLOCK_QUADS, BLOCK_CHANNELS)``: a row
is one pixel in neighbouring channels, so that a program moves whole sectors of memory. A quad is the 2x2 pixels that
are pooled into one, and its four pixels are in four tiles. So the pool adds tiles, within a thread, and a sum over
planes is one sum over the rows of a tile. Where a side is odd, the last row or column of quads reaches beyond the
plane; these pixels are masked, and these quads are not pooled. The output and its cotangents may be contiguous, as the
classifier takes them. The formulas, the sums without atomics and float32 are those of `norm_act_pool_triton`.
"""

import triton
import triton.language as tl

# Channels per program at least and at most: one or two sectors of memory in float32. Warps per program at most.
FEW, MANY, WARPS = 8, 16, 8
# Pixels per program that are aimed at, and pixels per thread. The last kernel holds the most tiles.
HELD = {"forward": 4096, "backward": 4096, "tangent": 4096, "tangent_backward": 2048}
EACH = {"forward": 32, "backward": 32, "tangent": 32, "tangent_backward": 16}


@triton.jit
def programs(n_channels, BLOCK_CHANNELS: tl.constexpr):
    """Return the program's sample, its channels and which channels exist: the latter two ``(1, BLOCK_CHANNELS)``."""
    groups = tl.cdiv(n_channels, BLOCK_CHANNELS)
    channel = (tl.program_id(0) % groups) * BLOCK_CHANNELS + tl.arange(0, BLOCK_CHANNELS)[None, :]
    return (tl.program_id(0) // groups).to(tl.int64), channel, channel < n_channels


@triton.jit
def each(base_ptr, place, mine):
    """Return one number per channel, in float32: ``(1, BLOCK_CHANNELS)``."""
    return tl.load(base_ptr + place, mask=mine, other=0.0).to(tl.float32)


@triton.jit
def pixels(k: tl.constexpr, H: tl.constexpr, W: tl.constexpr, BLOCK_QUADS: tl.constexpr):
    """Return the places in a plane of pixel k of each quad, and which exist: two ``(BLOCK_QUADS, 1)``."""
    quad = tl.arange(0, BLOCK_QUADS)[:, None]
    row, column = quad // ((W + 1) // 2) * 2 + k // 2, quad % ((W + 1) // 2) * 2 + k % 2
    return row * W + column, (row < H) & (column < W)


@triton.jit
def pooled(H: tl.constexpr, W: tl.constexpr, BLOCK_QUADS: tl.constexpr):
    """Return the places of the quads in a pooled plane, and which exist: two ``(BLOCK_QUADS, 1)``."""
    quad = tl.arange(0, BLOCK_QUADS)[:, None]
    row, column = quad // ((W + 1) // 2), quad % ((W + 1) // 2)
    return row * (W // 2) + column, (row < H // 2) & (column < W // 2)


@triton.jit
def offsets(place, channel, n_channels, PIXELS: tl.constexpr, LAST: tl.constexpr):
    """Return where pixels of a sample lie: in channels-last, or plane after plane of so many pixels."""
    if LAST:
        return place * n_channels + channel
    else:
        return channel * PIXELS + place


@triton.jit
def read(
    x_ptr, sample, channel, n_channels, H: tl.constexpr, W: tl.constexpr, BLOCK_QUADS: tl.constexpr, LAST: tl.constexpr
):
    """Return planes in float32, zero where there is no pixel: four tiles."""
    tiles = ()
    for k in tl.static_range(4):
        place, there = pixels(k, H, W, BLOCK_QUADS)
        where = x_ptr + sample * (H * W) * n_channels + offsets(place, channel, n_channels, H * W, LAST)
        tile = tl.load(where, mask=there & (channel < n_channels), other=0.0)
        tiles += (tile.to(tl.float32),)  # type: ignore[assignment]
    return tiles


@triton.jit
def write(
    x_ptr,
    sample,
    channel,
    n_channels,
    tiles,
    H: tl.constexpr,
    W: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
    LAST: tl.constexpr,
):
    """Store planes, four tiles."""
    for k in tl.static_range(4):
        place, there = pixels(k, H, W, BLOCK_QUADS)
        where = x_ptr + sample * (H * W) * n_channels + offsets(place, channel, n_channels, H * W, LAST)
        tl.store(where, tiles[k].to(x_ptr.dtype.element_ty), mask=there & (channel < n_channels))


@triton.jit
def emit(
    y_ptr,
    sample,
    channel,
    n_channels,
    tiles,
    H: tl.constexpr,
    W: tl.constexpr,
    POOL: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
    LAST: tl.constexpr,
):
    """Store the output of the block: the planes pooled or unchanged."""
    if POOL:
        N_POOLED: tl.constexpr = (H // 2) * (W // 2)
        place, there = pooled(H, W, BLOCK_QUADS)
        where = y_ptr + sample * N_POOLED * n_channels + offsets(place, channel, n_channels, N_POOLED, LAST)
        mean = (tiles[0] + tiles[1] + tiles[2] + tiles[3]) * 0.25
        tl.store(where, mean.to(y_ptr.dtype.element_ty), mask=there & (channel < n_channels))
    else:
        write(y_ptr, sample, channel, n_channels, tiles, H, W, BLOCK_QUADS, LAST)


@triton.jit
def receive(
    y_c_ptr,
    sample,
    channel,
    n_channels,
    H: tl.constexpr,
    W: tl.constexpr,
    POOL: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
    LAST: tl.constexpr,
):
    """Return the cotangents of the pixels from those of the output: four tiles, the same one where POOL is set."""
    if POOL:
        N_POOLED: tl.constexpr = (H // 2) * (W // 2)
        place, there = pooled(H, W, BLOCK_QUADS)
        where = y_c_ptr + sample * N_POOLED * n_channels + offsets(place, channel, n_channels, N_POOLED, LAST)
        tile = tl.load(where, mask=there & (channel < n_channels), other=0.0).to(tl.float32) * 0.25
        return tile, tile, tile, tile
    else:
        return read(y_c_ptr, sample, channel, n_channels, H, W, BLOCK_QUADS, LAST)


@triton.jit
def total(tiles):
    """Return the sums over planes: ``(1, BLOCK_CHANNELS)``."""
    return tl.sum(tiles[0] + tiles[1] + tiles[2] + tiles[3], 0)[None, :]


@triton.jit
def along(tiles, others):
    """Return the sums over planes of their products: ``(1, BLOCK_CHANNELS)``."""
    products = tiles[0] * others[0] + tiles[1] * others[1] + tiles[2] * others[2] + tiles[3] * others[3]
    return tl.sum(products, 0)[None, :]


@triton.jit
def centred(tiles, mean, H: tl.constexpr, W: tl.constexpr, BLOCK_QUADS: tl.constexpr):
    """Return planes without their means, zero where there is no pixel."""
    moved = ()
    for k in tl.static_range(4):
        _, there = pixels(k, H, W, BLOCK_QUADS)
        moved += (tl.where(there, tiles[k] - mean, 0.0),)  # type: ignore[assignment]
    return moved


@triton.jit
def scaled(tiles, factor):
    """Return planes times one number per channel."""
    return tiles[0] * factor, tiles[1] * factor, tiles[2] * factor, tiles[3] * factor


@triton.jit
def passed(tiles, normed, g, b, H: tl.constexpr, W: tl.constexpr, BLOCK_QUADS: tl.constexpr):
    """Return planes where ReLU passes ``g normed + b``, zero elsewhere and where there is no pixel."""
    rest = ()
    for k in tl.static_range(4):
        _, there = pixels(k, H, W, BLOCK_QUADS)
        rest += (tl.where(there & (g * normed[k] + b > 0), tiles[k], 0.0),)  # type: ignore[assignment]
    return rest


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
    BLOCK_CHANNELS: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
    LAST: tl.constexpr,
):
    """Write y and, to `stats` ``(2, planes)``, the means and inverse deviations."""
    sample, channel, mine = programs(n_channels, BLOCK_CHANNELS)
    plane = sample * n_channels + channel
    g, b = each(gain_ptr, channel, mine), each(offset_ptr, channel, mine)
    tiles = read(x_ptr, sample, channel, n_channels, H, W, BLOCK_QUADS, True)
    mean = total(tiles) / (H * W)
    tiles = centred(tiles, mean, H, W, BLOCK_QUADS)
    inverse = 1.0 / tl.sqrt(along(tiles, tiles) / (H * W) + eps)
    tl.store(stats_ptr + plane, mean, mask=mine)
    tl.store(stats_ptr + n_planes + plane, inverse, mask=mine)
    normed = scaled(tiles, inverse)
    z = ()
    for k in tl.static_range(4):
        z += (g * normed[k] + b,)  # type: ignore[assignment]
    cut = passed(z, normed, g, b, H, W, BLOCK_QUADS)
    emit(y_ptr, sample, channel, n_channels, cut, H, W, POOL, BLOCK_QUADS, LAST)


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
    BLOCK_CHANNELS: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
    LAST: tl.constexpr,
):
    """Write the cotangent of x and, to `sums` ``(2, planes)``, each plane's part of the gain's and the offset's."""
    M: tl.constexpr = H * W
    sample, channel, mine = programs(n_channels, BLOCK_CHANNELS)
    plane = sample * n_channels + channel
    g, b = each(gain_ptr, channel, mine), each(offset_ptr, channel, mine)
    mean, inverse = each(stats_ptr, plane, mine), each(stats_ptr + n_planes, plane, mine)
    tiles = centred(read(x_ptr, sample, channel, n_channels, H, W, BLOCK_QUADS, True), mean, H, W, BLOCK_QUADS)
    normed = scaled(tiles, inverse)
    up = receive(y_c_ptr, sample, channel, n_channels, H, W, POOL, BLOCK_QUADS, LAST)
    z_c = passed(up, normed, g, b, H, W, BLOCK_QUADS)
    gained, summed = along(z_c, normed), total(z_c)
    tl.store(sums_ptr + plane, gained, mask=mine)
    tl.store(sums_ptr + n_planes + plane, summed, mask=mine)
    down = ()
    for k in tl.static_range(4):
        down += (inverse * g * (z_c[k] - summed / M - normed[k] * (gained / M)),)  # type: ignore[assignment]
    write(x_c_ptr, sample, channel, n_channels, down, H, W, BLOCK_QUADS, True)


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
    BLOCK_CHANNELS: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
    LAST: tl.constexpr,
):
    """Write y, its tangent and, to `stats` ``(4, planes)``: mean(x), r, mean(x') and mean(xh x')."""
    M: tl.constexpr = H * W
    sample, channel, mine = programs(n_channels, BLOCK_CHANNELS)
    plane = sample * n_channels + channel
    g, g_t = each(gain_ptr, channel, mine), each(gain_t_ptr, channel, mine)
    b, b_t = each(offset_ptr, channel, mine), each(offset_t_ptr, channel, mine)
    tiles = read(x_ptr, sample, channel, n_channels, H, W, BLOCK_QUADS, True)
    moved = read(x_t_ptr, sample, channel, n_channels, H, W, BLOCK_QUADS, True)
    mean, mean_t = total(tiles) / M, total(moved) / M
    tiles, moved = centred(tiles, mean, H, W, BLOCK_QUADS), centred(moved, mean_t, H, W, BLOCK_QUADS)
    inverse = 1.0 / tl.sqrt(along(tiles, tiles) / M + eps)
    normed = scaled(tiles, inverse)
    shared = along(normed, moved) / M
    tl.store(stats_ptr + plane, mean, mask=mine)
    tl.store(stats_ptr + n_planes + plane, inverse, mask=mine)
    tl.store(stats_ptr + 2 * n_planes + plane, mean_t, mask=mine)
    tl.store(stats_ptr + 3 * n_planes + plane, shared, mask=mine)
    z = ()
    z_t = ()
    for k in tl.static_range(4):
        z += (g * normed[k] + b,)  # type: ignore[assignment]
        z_t += (g_t * normed[k] + g * inverse * (moved[k] - normed[k] * shared) + b_t,)  # type: ignore[assignment]
    cut, cut_t = passed(z, normed, g, b, H, W, BLOCK_QUADS), passed(z_t, normed, g, b, H, W, BLOCK_QUADS)
    emit(y_ptr, sample, channel, n_channels, cut, H, W, POOL, BLOCK_QUADS, LAST)
    emit(y_t_ptr, sample, channel, n_channels, cut_t, H, W, POOL, BLOCK_QUADS, LAST)


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
    BLOCK_CHANNELS: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
    LAST: tl.constexpr,
):
    """Write the cotangent of x, its tangent and, to `sums` ``(2, planes)``, the tangents of gain's and offset's."""
    M: tl.constexpr = H * W
    sample, channel, mine = programs(n_channels, BLOCK_CHANNELS)
    plane = sample * n_channels + channel
    g, g_t = each(gain_ptr, channel, mine), each(gain_t_ptr, channel, mine)
    b = each(offset_ptr, channel, mine)
    mean, inverse = each(stats_ptr, plane, mine), each(stats_ptr + n_planes, plane, mine)
    mean_t, shared = each(stats_ptr + 2 * n_planes, plane, mine), each(stats_ptr + 3 * n_planes, plane, mine)
    tiles = centred(read(x_ptr, sample, channel, n_channels, H, W, BLOCK_QUADS, True), mean, H, W, BLOCK_QUADS)
    normed = scaled(tiles, inverse)
    tiles = centred(read(x_t_ptr, sample, channel, n_channels, H, W, BLOCK_QUADS, True), mean_t, H, W, BLOCK_QUADS)
    moved = ()
    for k in tl.static_range(4):
        # Pixels beyond the plane are zero in both tiles.
        moved += ((tiles[k] - normed[k] * shared) * inverse,)  # type: ignore[assignment]
    up = receive(y_c_ptr, sample, channel, n_channels, H, W, POOL, BLOCK_QUADS, LAST)
    up_t = receive(y_ct_ptr, sample, channel, n_channels, H, W, POOL, BLOCK_QUADS, LAST)
    z_c, z_ct = passed(up, normed, g, b, H, W, BLOCK_QUADS), passed(up_t, normed, g, b, H, W, BLOCK_QUADS)
    summed, gained, drifted = total(z_c), along(z_c, normed), along(z_c, moved)
    summed_t, gained_t = total(z_ct), along(z_ct, normed)
    tl.store(sums_ptr + plane, gained_t + drifted, mask=mine)
    tl.store(sums_ptr + n_planes + plane, summed_t, mask=mine)
    level = (g_t * summed + g * summed_t) / M
    slope = (g_t * gained + g * gained_t + g * drifted) / M
    down = ()
    down_t = ()
    for k in tl.static_range(4):
        x_c = inverse * g * (z_c[k] - summed / M - normed[k] * (gained / M))
        bend = normed[k] * slope + moved[k] * (g * gained / M) + shared * x_c
        down += (x_c,)  # type: ignore[assignment]
        down_t += (inverse * (g_t * z_c[k] + g * z_ct[k] - level - bend),)  # type: ignore[assignment]
    write(x_c_ptr, sample, channel, n_channels, down, H, W, BLOCK_QUADS, True)
    write(x_ct_ptr, sample, channel, n_channels, down_t, H, W, BLOCK_QUADS, True)


KERNELS = {
    "forward": forward_kernel,
    "backward": backward_kernel,
    "tangent": tangent_kernel,
    "tangent_backward": tangent_backward_kernel,
}


def launch_of(name: str, block: int) -> tuple[int, int]:
    """Return channels and warps per program of the kernel of this name, for planes of `block` quads."""
    channels = min(MANY, max(FEW, HELD[name] // (4 * block)))
    return channels, min(WARPS, max(1, channels * 4 * block // (32 * EACH[name])))
