"""The first block of the field's ConvNet on a CPU, with its output in channels-last.

The mathematics is that of `ddcore.kernels.first_block`. The block is linear in a few numbers until its ReLU: pixel q of
``u = conv(x, w)`` is ``<w, p(q)>`` with the K = 9 Cin pixels ``p(q)`` of the image that the weights meet there. Let
``s(q) = p(q) - mean(p)`` and ``G = mean(s sᵀ)``. Then ``var(u) = <w, G w>`` and

    z(q) = <alpha, (s(q), 1)>,    alpha = (a w, b),   a = r g,   r = (<w, G w> + eps)^-1/2

so the statistics of the largest planes of the network need no pass over these planes: z and its tangent are one matrix
product each, and so are their adjoints. With ``A = sum_q dz(q) s(q)`` and ``h = <w, A>``, with M pixels, and a dash for
the tangent along the parameters:

    r' = -r³ <w', G w>,   a' = r g' + r' g,   alpha' = (a' w + a w', b')
    db = sum dz,   dg = r h,   dw = a A - k G w,   k = a r² h,   dG = -1/2 sum over channels of k w wᵀ
    ds(q) = sum over channels of dz(q) a w + 2/M dG s(q),   dp = ds - mean(ds)

The tangents of the last two lines follow from the product rule. The image has no tangent, so s and G have none.

A window of 4x4 pixels of the image holds the patches of the four pixels that are pooled together. All windows, with a
row of ones, are a matrix T ``(16 Cin + 1, Q)`` per image, Q pixels of the output; `Places` says how.
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from ddcore.kernels.norm_act_pool import EPS

# w ``(C, Cin, 3, 3)``, gain ``(C,)`` and offset ``(C,)`` of a block, or their tangents.
Block = tuple[Tensor, Tensor, Tensor]


@dataclass
class Places:
    """The patches of images, and their second moments.

    Attributes:
        image: ``(N, Cin, H, W)``, the shape of the images.
        padding: of the convolution.
        windows: ``(N, 16 Cin + 1, Q)``, T. One number per image and channel is subtracted from its pixels: s stays.
        take: ``(N, 4 (16 Cin + 1), K + 1)``, the factors of T's rows in ``(s, 1)`` of each of the four pixels.
        moments: ``(N, K, K)``, G.
    """

    image: torch.Size
    padding: int
    windows: Tensor
    take: Tensor
    moments: Tensor


@dataclass
class Factors:
    """The factors of the patches in z, or the tangents of all of them.

    Attributes:
        w: ``(K, C)``.
        bent: ``(N, K, C)``, G w.
        scale: ``(N, 1, C)``, r.
        slope: ``(N, 1, C)``, a.
        alpha: ``(N, K + 1, C)``.
        rows: ``(N, 16 Cin + 1, 4 C)``, the factors of T's rows.
    """

    w: Tensor
    bent: Tensor
    scale: Tensor
    slope: Tensor
    alpha: Tensor
    rows: Tensor


@dataclass
class Saved:
    """The tensors that a forward pass saves for its backward pass.

    Attributes:
        places: of the images.
        factors: of the values.
        tangents: of the factors, or None.
        cut: ``(N, Q, 4, C)``, relu(z).
    """

    places: Places
    factors: Factors
    tangents: Factors | None
    cut: Tensor


def forward(x: Tensor, w: Tensor, gain: Tensor, offset: Tensor, padding: int) -> tuple[Tensor, Saved]:
    """Return the block's output and the input of `backward`, both without autograd.

    Args:
        x: ``(N, Cin, H, W)`` floating point, the images, H and W even.
        w: ``(C, Cin, 3, 3)`` of x's dtype, the convolution's weights.
        gain, offset: ``(C,)`` of x's dtype, the norm's weight and bias.
        padding: of the convolution, at least 1.

    Returns:
        ``(N, H / 2 + padding - 1, W / 2 + padding - 1, C)``.
    """
    places = _places(x, padding)
    factors = _factors(places, w, gain, offset)
    z = torch.bmm(places.windows.mT, factors.rows).relu_()
    cut = z.view(*z.shape[:2], 4, -1)
    return _pool(cut, places), Saved(places, factors, None, cut)


def backward(y_c: Tensor, saved: Saved) -> tuple[Tensor, Tensor]:
    """Return the cotangent of w, and each plane's part of those of gain and offset.

    Args:
        y_c: of the output's shape, its cotangent.
        saved: from `forward`.

    Returns:
        ``(C, Cin, 3, 3)`` and ``(2, N, C)``.
    """
    places, factors = saved.places, saved.factors
    along, summed = _patches(places, _unpool(y_c[None], saved.cut)[0])
    h = (along * factors.w).sum(1, keepdim=True)
    bend = factors.slope * factors.scale.square() * h
    w_c = (factors.slope * along).addcmul_(bend, factors.bent, value=-1)
    return _weights(w_c, places), torch.stack([factors.scale * h, summed]).flatten(1, 2)


def tangent(x: Tensor, block: Block, directions: Block, padding: int) -> tuple[Tensor, Saved]:
    """Return the block's output, its tangent along the parameters, and the input of `tangent_backward`.

    Args:
        x: ``(N, Cin, H, W)`` floating point, the images, H and W even; they have no tangent.
        block, directions: w ``(C, Cin, 3, 3)``, gain and offset ``(C,)`` of x's dtype, and their tangents.
        padding: of the convolution, at least 1.

    Returns:
        ``(2N, H / 2 + padding - 1, W / 2 + padding - 1, C)``, first y and then y'.
    """
    places = _places(x, padding)
    factors = _factors(places, *block)
    tangents = _tangents(places, factors, block[1], *directions)
    n, quads, columns = len(x), places.windows.shape[2], factors.rows.shape[2]
    both = x.new_empty(2, n, quads, columns)
    z = torch.bmm(places.windows.mT, factors.rows, out=both[0]).relu_()
    z_t = torch.bmm(places.windows.mT, tangents.rows, out=both[1])
    torch.ops.aten.threshold_backward.grad_input(z_t, z, 0, grad_input=z_t)
    both = both.view(2 * n, quads, 4, -1)
    return _pool(both, places), Saved(places, factors, tangents, both[:n])


def tangent_backward(pair: Tensor, saved: Saved, gain: Tensor, gain_t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the tangents of the cotangents of w, gain and offset, and that of the image's cotangent.

    Args:
        pair: ``(2N, ...)``, the tangent of the output's cotangent and then that cotangent.
        saved: from `tangent`.
        gain, gain_t: ``(C,)``, the same as there.

    Returns:
        ``(C, Cin, 3, 3)``; ``(2, N, C)``, each plane's part of gain and offset; and ``(N, Cin, H, W)``.
    """
    places, factors, tangents = saved.places, saved.factors, saved.tangents
    assert tangents is not None
    z_c = _unpool(pair.view(2, -1, *pair.shape[1:]), saved.cut)
    (along_t, summed_t), (along, summed) = (_patches(places, each) for each in z_c)
    h = (along * factors.w).sum(1, keepdim=True)
    h_t = (along_t * factors.w).addcmul_(along, tangents.w).sum(1, keepdim=True)
    square = factors.scale.square()
    bend = factors.slope * square * h
    bend_t = (
        tangents.slope * h + factors.slope * h_t
    ) * square + 2 * factors.slope * factors.scale * tangents.scale * h
    w_ct = (tangents.slope * along).addcmul_(factors.slope, along_t)
    w_ct.addcmul_(bend_t, factors.bent, value=-1).addcmul_(bend, tangents.bent, value=-1)
    sums = torch.stack([tangents.scale * h + factors.scale * h_t, summed_t]).flatten(1, 2)
    # The derivative in the patches, as factors of (s, 1): 2/M dG' for s, and minus the mean of the rest.
    cross = (bend * factors.w) @ tangents.w.T
    moments_t = (bend_t * factors.w) @ factors.w.T + cross + cross.mT
    rest = factors.alpha[:, :-1] @ summed_t.mT + tangents.alpha[:, :-1] @ summed.mT
    matrix = torch.cat([moments_t, rest], 2) / (-4 * places.windows.shape[2])
    windows_c = _of_patches(places, matrix) @ places.windows
    windows_c.baddbmm_(factors.rows[:, :-1], z_c[0].flatten(2).mT)
    windows_c.baddbmm_(tangents.rows[:, :-1], z_c[1].flatten(2).mT)
    x_ct = F.fold(windows_c, places.image[2:], 4, padding=places.padding, stride=2)
    return _weights(w_ct, places), sums, x_ct


@cache
def _selection(channels: int, dtype: torch.dtype) -> Tensor:
    """Return which rows of T are the patch of each of four pixels: ``(16 Cin + 1, 4, K + 1)``, 0 or 1."""
    ahead = torch.arange(2)[:, None] + torch.arange(3)
    side = (torch.arange(4)[:, None, None] == ahead).to(dtype)
    taps = torch.einsum("cd,sai,tbj->cstabdij", torch.eye(channels, dtype=dtype), side, side)
    selection = torch.zeros(16 * channels + 1, 4, 9 * channels + 1, dtype=dtype)
    selection[:-1, :, :-1] = taps.reshape(16 * channels, 4, 9 * channels)
    selection[-1, :, -1] = 1
    return selection


def _places(x: Tensor, padding: int) -> Places:
    """Return the patches of images ``(N, Cin, H, W)``."""
    n, channels = x.shape[:2]
    padded = F.pad(x, (padding,) * 4)
    # Near the mean, so that the second moments lose no digits.
    padded -= padded.mean((2, 3), keepdim=True)
    tiles = padded.unfold(2, 4, 2).unfold(3, 4, 2).permute(0, 1, 4, 5, 2, 3)
    windows = x.new_empty(n, 16 * channels + 1, tiles.shape[4] * tiles.shape[5])
    windows[:, :-1].view(tiles.shape).copy_(tiles)
    windows[:, -1] = 1
    selection = _selection(channels, x.dtype)
    columns, rows = selection.flatten(1), selection.flatten(0, 1)
    moments = (windows @ windows.mT @ columns).view(n, *rows.shape)
    moments = torch.bmm(rows.T.expand(n, -1, -1), moments) / (4 * windows.shape[2])
    mean = moments[:, :-1, -1]
    take = rows.repeat(n, 1, 1)
    take[:, -4:, :-1] = -mean[:, None]
    return Places(x.shape, padding, windows, take, moments[:, :-1, :-1] - mean[:, :, None] * mean[:, None])


def _factors(places: Places, w: Tensor, gain: Tensor, offset: Tensor) -> Factors:
    w = w.flatten(1).T
    bent = places.moments @ w
    # Rounding can make a variance of zero negative.
    scale = (bent * w).sum(1, keepdim=True).clamp_min_(0).add_(EPS).rsqrt_()
    slope = gain * scale
    return _taken(places, w, bent, scale, slope, slope * w, offset)


def _tangents(places: Places, factors: Factors, gain: Tensor, w_t: Tensor, gain_t: Tensor, offset_t: Tensor) -> Factors:
    w_t = w_t.flatten(1).T
    scale_t = (factors.bent * w_t).sum(1, keepdim=True) * -(factors.scale**3)
    slope_t = gain_t * factors.scale + gain * scale_t
    alpha_t = (slope_t * factors.w).addcmul_(factors.slope, w_t)
    return _taken(places, w_t, places.moments @ w_t, scale_t, slope_t, alpha_t, offset_t)


def _taken(
    places: Places, w: Tensor, bent: Tensor, scale: Tensor, slope: Tensor, alpha: Tensor, offset: Tensor
) -> Factors:
    alpha = torch.cat([alpha, offset.expand(len(alpha), 1, -1)], 1)
    rows = torch.bmm(places.take, alpha).view(len(alpha), places.windows.shape[1], -1)
    return Factors(w, bent, scale, slope, alpha, rows)


def _patches(places: Places, z_c: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sums over pixels of ``dz s`` and of dz, for dz ``(N, Q, 4, C)``: ``(N, K, C)`` and ``(N, 1, C)``."""
    rows = torch.bmm(places.windows, z_c.flatten(2)).view(len(z_c), -1, z_c.shape[3])
    sums = torch.bmm(places.take.mT, rows)
    return sums[:, :-1], sums[:, -1:]


def _of_patches(places: Places, matrix: Tensor) -> Tensor:
    """Return the factors of T's rows in T's cotangent, for those of (s, 1) in p's: ``(N, 16 Cin, 16 Cin + 1)``."""
    n, taps = matrix.shape[:2]
    columns = _selection(places.image[1], matrix.dtype)[:-1, :, :-1].flatten(1)
    each = torch.bmm(places.take, matrix.mT).view(n, -1, 4 * taps)
    return (each @ columns.T).mT


def _pool(z: Tensor, places: Places) -> Tensor:
    """Return the means of the four pixels of ``(N, Q, 4, C)``, as planes in channels-last."""
    _, _, height, width = places.image
    sides = (side // 2 + places.padding - 1 for side in (height, width))
    return F.avg_pool2d(z.permute(0, 3, 1, 2), (1, 4)).permute(0, 2, 3, 1).view(len(z), *sides, -1)


def _unpool(y_c: Tensor, cut: Tensor) -> Tensor:
    """Return dz for cotangents ``(b, N, H, W, C)`` of the output: ``(b, N, Q, 4, C)``."""
    up = (y_c * 0.25).flatten(2, 3)[..., None, :].expand(len(y_c), *cut.shape)
    return torch.ops.aten.threshold_backward(up, cut, 0)


def _weights(each: Tensor, places: Places) -> Tensor:
    """Return the sum over members of ``(N, K, C)`` in the shape of the weights."""
    return each.sum(0).T.unflatten(1, (places.image[1], 3, 3))
