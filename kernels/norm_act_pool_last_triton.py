"""Where `norm_act_pool`'s Triton kernels read and write planes, for both layouts of a tensor ``(N, C, H, W)``.

Contiguous planes lie one after another. In channels-last the channels of a pixel do: a program takes neighbouring
channels of one sample, so that it moves whole sectors of memory. The four pixels that are pooled into one are four
accesses there, after which one thread holds them; so a sum over them moves nothing between threads.
"""

import triton
import triton.language as tl

from ddcore.kernels.norm_act_pool_tiles_triton import emit, programs, read, receive, spots, write


@triton.jit
def owned(n_channels, n_planes, PLANES: tl.constexpr, LAST: tl.constexpr):
    """Return the planes, their channels and which planes exist, all ``(PLANES,)``, and the number of channels."""
    if LAST:
        groups = tl.cdiv(n_channels, PLANES)
        sample = (tl.program_id(0) // groups).to(tl.int64)
        channel = (tl.program_id(0) % groups) * PLANES + tl.arange(0, PLANES)
        return sample * n_channels + channel, channel, channel < n_channels, n_channels
    else:
        plane, channel, mine = programs(n_channels, n_planes, PLANES)
        return plane, channel, mine, n_channels


@triton.jit
def reached(held, place, there, PIXELS: tl.constexpr):
    """Return where pixels of the planes of a channels-last tensor lie, and which exist: two ``(PLANES, BLOCK_QUADS)``.

    `place` and `there` are ``(1, BLOCK_QUADS)``: the pixels' places in a plane of `PIXELS`, and which exist.
    """
    plane, channel, mine, n_channels = held
    return ((plane - channel) * PIXELS + channel)[:, None] + place * n_channels, there & mine[:, None]


@triton.jit
def quarter(x_ptr, held, k: tl.constexpr, H: tl.constexpr, W: tl.constexpr, BLOCK_QUADS: tl.constexpr):
    """Return pixel k of every four that are pooled into one: ``(PLANES, BLOCK_QUADS)`` in float32."""
    place, there = spots(tl.arange(0, BLOCK_QUADS)[None, :], k, H, W)
    where, there = reached(held, place, there, H * W)
    return tl.load(x_ptr + where, mask=there, other=0.0).to(tl.float32)


@triton.jit
def load(
    x_ptr,
    held,
    H: tl.constexpr,
    W: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
    LAST: tl.constexpr,
):
    """Return planes ``(PLANES, BLOCK_QUADS, 4)`` in float32, zero where there is no pixel."""
    if LAST:
        left = tl.join(quarter(x_ptr, held, 0, H, W, BLOCK_QUADS), quarter(x_ptr, held, 2, H, W, BLOCK_QUADS))
        right = tl.join(quarter(x_ptr, held, 1, H, W, BLOCK_QUADS), quarter(x_ptr, held, 3, H, W, BLOCK_QUADS))
        both = tl.join(left, right)
        return tl.reshape(both, (both.shape[0], BLOCK_QUADS, 4))
    else:
        return read(x_ptr, held[0], held[2], 0, H, W, BLOCK_QUADS)


@triton.jit
def store(
    x_ptr,
    held,
    tile,
    H: tl.constexpr,
    W: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
    LAST: tl.constexpr,
):
    """Store planes ``(PLANES, BLOCK_QUADS, 4)``."""
    if LAST:
        left, right = tl.split(tl.reshape(tile, (tile.shape[0], BLOCK_QUADS, 2, 2)))
        quarters = tl.split(left) + tl.split(right)
        for k in tl.static_range(4):
            place, there = spots(tl.arange(0, BLOCK_QUADS)[None, :], k % 2 * 2 + k // 2, H, W)
            where, there = reached(held, place, there, H * W)
            tl.store(x_ptr + where, quarters[k].to(x_ptr.dtype.element_ty), mask=there)
    else:
        write(x_ptr, held[0], held[2], 0, tile, H, W, BLOCK_QUADS)


@triton.jit
def store_output(
    y_ptr,
    held,
    tile,
    H: tl.constexpr,
    W: tl.constexpr,
    POOL: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
    LAST: tl.constexpr,
):
    """Store the output of the block: the planes pooled or unchanged."""
    pooled: tl.constexpr = (H // 2) * (W // 2)
    if LAST and POOL:
        row = tl.arange(0, BLOCK_QUADS)[None, :]
        where, there = reached(held, row, row < pooled, pooled)
        tl.store(y_ptr + where, (tl.sum(tile, 2) * 0.25).to(y_ptr.dtype.element_ty), mask=there)
    elif LAST:
        store(y_ptr, held, tile, H, W, BLOCK_QUADS, LAST)
    else:
        emit(y_ptr, held[0], held[2], 0, tile, H, W, POOL, BLOCK_QUADS)


@triton.jit
def load_cotangent(
    y_c_ptr,
    held,
    H: tl.constexpr,
    W: tl.constexpr,
    POOL: tl.constexpr,
    BLOCK_QUADS: tl.constexpr,
    LAST: tl.constexpr,
):
    """Return the cotangents of the pixels from those of the output; pooled pixels share one: one column."""
    pooled: tl.constexpr = (H // 2) * (W // 2)
    if LAST and POOL:
        row = tl.arange(0, BLOCK_QUADS)[None, :]
        where, there = reached(held, row, row < pooled, pooled)
        return (tl.load(y_c_ptr + where, mask=there, other=0.0).to(tl.float32) * 0.25)[:, :, None]
    elif LAST:
        return load(y_c_ptr, held, H, W, BLOCK_QUADS, LAST)
    else:
        return receive(y_c_ptr, held[0], held[2], 0, H, W, POOL, BLOCK_QUADS)
