"""The parts of `first_block`'s Triton kernels: what a program reads of an image, the convolution, what it writes."""

import triton
import triton.language as tl


@triton.jit
def read_patches(
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
def find_places(H: tl.constexpr, W: tl.constexpr, PADDING: tl.constexpr, BLOCK_QUADS: tl.constexpr):
    """Return which pixels of a tile exist, and the places of the pooled ones and which of those exist."""
    height: tl.constexpr = H + 2 * PADDING - 2
    width: tl.constexpr = W + 2 * PADDING - 2
    quad = tl.arange(0, BLOCK_QUADS)
    row, column = quad // ((width + 1) // 2), quad % ((width + 1) // 2)
    pixel = tl.arange(0, 4)[None, :]
    there = (2 * row[:, None] + pixel // 2 < height) & (2 * column[:, None] + pixel % 2 < width)
    return there, row * (width // 2) + column, (row < height // 2) & (column < width // 2)


@triton.jit
def share(n_channels, n_group):
    """Return a program's sample, its first channel and the one after its last."""
    groups = tl.cdiv(n_channels, n_group)
    first = (tl.program_id(0) % groups) * n_group
    return (tl.program_id(0) // groups).to(tl.int64), first, tl.minimum(first + n_group, n_channels)


@triton.jit
def read_weights(w_ptr, channel, CHANNELS: tl.constexpr):
    """Return the weights of a channel: a tuple of ``9 CHANNELS`` numbers."""
    numbers = ()
    for k in tl.static_range(9 * CHANNELS):
        numbers += (tl.load(w_ptr + channel * (9 * CHANNELS) + k),)  # type: ignore[assignment]
    return numbers


@triton.jit
def seen(patches, k: tl.constexpr):
    """Return the pixels of the image that weight k meets: ``(BLOCK_QUADS, 4)``, the registers of the patches."""
    corner: tl.constexpr = k // 9 * 16 + k % 9 // 3 * 4 + k % 3
    left = tl.join(patches[corner], patches[corner + 4])
    right = tl.join(patches[corner + 1], patches[corner + 5])
    both = tl.join(left, right)
    return tl.reshape(both, (both.shape[0], 4))


@triton.jit
def convolved(patches, weights, CHANNELS: tl.constexpr):
    """Return a channel's plane ``(BLOCK_QUADS, 4)`` before its norm."""
    tile = weights[0] * seen(patches, 0)
    for k in tl.static_range(1, 9 * CHANNELS):
        tile += weights[k] * seen(patches, k)
    return tile


@triton.jit
def total(tile):
    """Return the sum over a tile."""
    return tl.sum(tl.sum(tile, 1), 0)


@triton.jit
def store_weights(w_c_ptr, plane, patches, u_c, CHANNELS: tl.constexpr):
    """Store a plane's part of the cotangents of its channel's weights; `u_c` is that of the convolution."""
    for k in tl.static_range(9 * CHANNELS):
        tl.store(w_c_ptr + plane * (9 * CHANNELS) + k, total(u_c * seen(patches, k)))


@triton.jit
def pixels_of(tile):
    """Return the four pixels of each quad as a tuple of tiles (BLOCK_QUADS,)."""
    left, right = tl.split(tl.reshape(tile, (tile.shape[0], 2, 2)))
    first, third = tl.split(left)
    second, fourth = tl.split(right)
    return first, second, third, fourth


@triton.jit
def find_outputs(sample, channel, n_channels, place, there, N_POOLED: tl.constexpr, TOGETHER: tl.constexpr):
    """Return where the pooled pixels of `TOGETHER` channels lie, from `channel` on, and which exist.

    They are ``(BLOCK_QUADS,)`` for one channel of a contiguous tensor, ``(BLOCK_QUADS, TOGETHER)`` in channels-last.
    """
    if TOGETHER == 1:
        return (sample * n_channels + channel) * N_POOLED + place, there
    else:
        where = sample * n_channels * N_POOLED + channel + place[:, None] * n_channels
        return where + tl.arange(0, TOGETHER)[None, :], there[:, None]


@triton.jit
def store_outputs(y_ptr, where, there, tiles, TOGETHER: tl.constexpr):
    """Store the pooled pixels of `TOGETHER` channels, a tuple of tiles ``(BLOCK_QUADS,)``."""
    if TOGETHER == 1:
        tl.store(y_ptr + where, tiles[0], mask=there)
    else:
        both = tl.join(tl.join(tiles[0], tiles[2]), tl.join(tiles[1], tiles[3]))
        tl.store(y_ptr + where, tl.reshape(both, (both.shape[0], TOGETHER)), mask=there)


@triton.jit
def load_cotangents(y_c_ptr, where, there, TOGETHER: tl.constexpr):
    """Return the cotangents of the pixels of `TOGETHER` channels: a tuple of tiles ``(BLOCK_QUADS,)``."""
    tile = tl.load(y_c_ptr + where, mask=there, other=0.0) * 0.25
    if TOGETHER == 1:
        return (tile,)
    else:
        return pixels_of(tile)


@triton.jit
def reached(tile, weights, pixels, k: tl.constexpr, pixel: tl.constexpr):
    """Add to tile k of some patches what one pixel of each quad gives to it."""
    row: tl.constexpr = k % 16 // 4 - pixel // 2
    column: tl.constexpr = k % 4 - pixel % 2
    if row >= 0 and row < 3 and column >= 0 and column < 3:
        tile += weights[k // 16 * 9 + row * 3 + column] * pixels[pixel]
    return tile


@triton.jit
def scattered(patches, weights, pixels, CHANNELS: tl.constexpr):
    """Return patches of the image's cotangent, to which those of the pixels' cotangents are added."""
    tiles = ()
    for k in tl.static_range(16 * CHANNELS):
        tile = patches[k]
        for pixel in tl.static_range(4):
            tile = reached(tile, weights, pixels, k, pixel)
        tiles += (tile,)  # type: ignore[assignment]
    return tiles
