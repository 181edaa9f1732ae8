"""The block of the field's ConvNet after its convolution, for planes in channels-last on a CPU.

The mathematics is that of `ddcore.kernels.norm_act_pool`, whose head has the closed forms. A CPU convolves planes in
channels-last without copying them to another layout, in half the time (width 32). PyTorch's group norm is several times
slower there, so the norm is written as sums over pixels, which are sums over rows of a matrix ``(H W, C)``.

With ``c = x - mean(x)``, ``q = mean(c c')`` and ``a = r g``, so that ``r' = -q r³`` and ``a' = r g' + r' g``:

    z = a c + b,    z' = a c' + a' c + b'

These are linear in c, c' and 1, and the rest of the block multiplies by ``mask = z > 0`` and adds up 2x2 pixels. So the
three planes ``pool(mask c)``, ``pool(mask c')`` and ``pool(mask)``, a quarter in size, hold all that is needed:

    y  = a pool(mask c) + b pool(mask),   y' = a pool(mask c') + a' pool(mask c) + b' pool(mask)
    sum dz = sum dy pool(mask),   h = sum dz c = sum dy pool(mask c),   and in the same way their tangents

With M pixels, ``dg = r h`` and ``dx = a dz - a sum(dz) / M - a r² h c / M``; the product rule gives their tangents.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ddcore.kernels.norm_act_pool import EPS


@dataclass
class Saved:
    """The tensors that `forward` saves for `backward`.

    Attributes:
        centred: ``(N, H, W, C)``, c.
        scale: ``(N, 1, 1, C)``, r.
        cut: of c's shape, relu(z).
    """

    centred: Tensor
    scale: Tensor
    cut: Tensor


@dataclass
class SavedTangent:
    """The tensors that `tangent` saves for `tangent_backward`.

    Attributes:
        centred: ``(2, N, H, W, C)``, c and c'.
        scale, scale_t: ``(N, 1, 1, C)``, r and r'.
        slope, slope_t: ``(N, 1, 1, C)``, a and a'.
        mask: ``(N, H, W, C)``, 0 or 1.
        pooled: ``(3, N, H / 2, W / 2, C)``, the means of ``mask c``, ``mask c'`` and ``mask`` over 2x2 pixels.
    """

    centred: Tensor
    scale: Tensor
    scale_t: Tensor
    slope: Tensor
    slope_t: Tensor
    mask: Tensor
    pooled: Tensor


def forward(x: Tensor, gain: Tensor, offset: Tensor) -> tuple[Tensor, Saved]:
    """Return the block's output and the input of `backward`, both without autograd.

    Args:
        x: ``(N, H, W, C)`` floating point and contiguous, H and W even; overwritten.
        gain, offset: ``(C,)``, the norm's weight and bias.

    Returns:
        ``(N, H / 2, W / 2, C)``.
    """
    centred = x.sub_(_means(x))
    scale = _means(centred * centred).add_(EPS).rsqrt_()
    cut = torch.addcmul(offset, centred, gain * scale).relu_()
    return _pool(cut), Saved(centred, scale, cut)


def backward(y_c: Tensor, saved: Saved, gain: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cotangent of x for that of the output, and each plane's part of those of gain and offset.

    Args:
        y_c: of the output's shape, its cotangent.
        saved: from `forward`.
        gain: ``(C,)``, the same as there.

    Returns:
        ``(N, H, W, C)`` and ``(2, N, C)``.
    """
    centred, scale = saved.centred, saved.scale
    slope = gain * scale
    up = (y_c * 0.25)[:, :, None, :, None].expand_as(_windows(saved.cut))
    x_c = torch.ops.aten.threshold_backward(up, _windows(saved.cut), 0).view_as(centred)
    mean, along = _means(x_c), _means(x_c * centred)
    x_c.mul_(slope).addcmul_(centred, slope * scale.square() * along, value=-1).sub_(slope * mean)
    return x_c, _sums(scale * along, mean, centred)


def tangent(
    both: Tensor, gain: Tensor, gain_t: Tensor, offset: Tensor, offset_t: Tensor
) -> tuple[Tensor, SavedTangent]:
    """Return the block's output, its tangent, and the input of `tangent_backward`.

    Args:
        both: ``(2N, H, W, C)`` floating point and contiguous, x and then x', H and W even; overwritten.
        gain, gain_t, offset, offset_t: ``(C,)``, the norm's weight and bias and their tangents.

    Returns:
        ``(2N, H / 2, W / 2, C)``, first y and then y'.
    """
    _, height, width, channels = both.shape
    centred = both.sub_(_means(both)).view(2, -1, height, width, channels)
    squares, shared = _means(centred * centred[0])
    scale = squares.add_(EPS).rsqrt_()
    scale_t = shared * -(scale**3)
    slope, slope_t = gain * scale, gain_t * scale + gain * scale_t
    parts = both.new_empty(3, *centred.shape[1:])
    mask = torch.addcmul(offset, centred[0], slope, out=parts[2]).relu_().sign_()
    torch.mul(centred, mask, out=parts[:2])
    pooled = _pool(parts.flatten(0, 1)).view(3, -1, height // 2, width // 2, channels)
    y = pooled[:2] * slope
    y.addcmul_(pooled[2], torch.stack([offset, offset_t]).view(2, 1, 1, 1, channels))
    y[1].addcmul_(pooled[0], slope_t)
    return y.flatten(0, 1), SavedTangent(centred, scale, scale_t, slope, slope_t, mask, pooled)


def tangent_backward(pair: Tensor, saved: SavedTangent) -> tuple[Tensor, Tensor]:
    """Return the tangent of x's cotangent, that cotangent, and each plane's part of the tangents of gain and offset.

    Args:
        pair: ``(2N, H / 2, W / 2, C)``, the tangent of the output's cotangent and then that cotangent.
        saved: from `tangent`.

    Returns:
        ``(2N, H, W, C)``, first dx' and then dx, and ``(2, N, C)``.
    """
    inner, inner_t, counts = saved.pooled
    scale, scale_t, slope, slope_t = saved.scale, saved.scale_t, saved.slope, saved.slope_t
    pair = pair.view(2, *inner.shape) * 0.25
    # The sums of the head are means here: each is divided by M.
    mean = _means(pair * counts)
    along_t, along = _means(pair * inner)
    along_t += _means(pair[1] * inner_t)
    steep, steep_t = slope * along, slope_t * along + slope * along_t
    factors = torch.stack([steep_t * scale + 2 * steep * scale_t, steep * scale]) * scale
    constants = mean * slope
    constants[0] += slope_t * mean[1]
    up = pair * slope
    up[0].addcmul_(pair[1], slope_t)
    x_c = (up[:, :, :, None, :, None] * _windows(saved.mask)).view_as(saved.centred)
    x_c.addcmul_(saved.centred[0], factors, value=-1).sub_(constants)
    x_c[0].addcmul_(saved.centred[1], factors[1], value=-1)
    return x_c.flatten(0, 1), _sums(scale_t * along + scale * along_t, mean[0], saved.mask)


def _means(x: Tensor) -> Tensor:
    """Return the means of planes ``(..., H, W, C)``: ``(..., 1, 1, C)``."""
    return x.mean((-3, -2), keepdim=True)


def _sums(of_gain: Tensor, of_offset: Tensor, planes: Tensor) -> Tensor:
    """Return the sums of planes ``(N, H, W, C)`` whose means ``(N, 1, 1, C)`` are these: ``(2, N, C)``."""
    return torch.stack([of_gain, of_offset]).flatten(1, 3) * (planes.shape[1] * planes.shape[2])


def _windows(x: Tensor) -> Tensor:
    """Return planes ``(N, H, W, C)`` by windows of 2x2 pixels: ``(N, H / 2, 2, W / 2, 2, C)``."""
    n, height, width, channels = x.shape
    return x.view(n, height // 2, 2, width // 2, 2, channels)


def _pool(x: Tensor) -> Tensor:
    """Return the means of 2x2 pixels of planes ``(N, H, W, C)``."""
    return F.avg_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
