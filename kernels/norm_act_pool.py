"""The block of the field's ConvNet after its convolution: instance norm, ReLU, 2x2 average pool.

For one plane (one sample, one channel) of M pixels x, with gain g and offset b of the channel:

    xh = (x - mean(x)) / sqrt(var(x) + eps),   z = g xh + b,   y = pool(relu(z))

``var`` divides by M. An odd last row or column counts in the statistics, not in the pool. This is PyTorch's own
operations without an autograd Function: they have first and second derivatives, in forward and in reverse mode, and
can be compiled. An instance norm is a group norm with one channel a group, which is the fastest way to say it.

The inner loop's second derivatives run it by hand instead, in two passes, each of which fuses well. With
``r = (var + eps)^-1/2``, ``mask = z > 0`` and the self-adjoint ``P(u) = r (u - mean(u) - xh mean(xh u))``, and a dash
for the tangent of everything:

    forward    xh' = P(x'),  z' = g' xh + g xh' + b',  y' = pool(mask z')
    backward   dz = mask up(dy) / 4,  db = sum dz,  dg = sum dz xh,  a = g dz,  dx = P(a)
    its tangent, with s = mean(xh x'),  a' = g' dz + g dz':
        dx' = P(a') - r s P(a) - r (xh' mean(a xh) + xh mean(a xh'))
        db' = sum dz',  dg' = sum (dz' xh + dz xh')
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


def norm_act_pool(x: Tensor, gain: Tensor, offset: Tensor, eps: float = 1e-5) -> Tensor:
    """Normalise every plane, scale it by its channel, cut at zero and halve it.

    Args:
        x: ``(N, C, H, W)`` floating point, H and W at least 2.
        gain: ``(C,)``, the norm's weight, of x's dtype.
        offset: ``(C,)``, the norm's bias, of x's dtype.
        eps: added to the variance; no plane divides by zero.

    Returns:
        ``(N, C, H // 2, W // 2)`` of x's dtype. Twice differentiable in all three tensors.

    Raises:
        ValueError: the shapes or dtypes do not fit.
    """
    if x.ndim != 4 or min(x.shape[2:]) < 2:
        raise ValueError(f"x must be (N, C, H, W) with planes of at least 2x2, not {tuple(x.shape)}")
    for name, tensor in (("gain", gain), ("offset", offset)):
        if tensor.shape != x.shape[1:2] or tensor.dtype != x.dtype:
            wanted = f"({x.shape[1]},) {x.dtype}"
            raise ValueError(f"{name} must be {wanted}, not {tuple(tensor.shape)} {tensor.dtype}")
    return F.avg_pool2d(F.relu(F.group_norm(x, x.shape[1], gain, offset, eps)), 2)


@dataclass
class Kept:
    """What the tangent's backward pass needs.

    Attributes:
        normed, tangent: ``(N, C, H, W)``, the normalised planes xh and their tangents xh'.
        inverse, shared: ``(N, C, 1, 1)``, the inverse deviations r and the means s of ``xh x'``.
        pooled: ``pool(mask)``, ``pool(mask xh)`` and ``pool(mask xh')``, each ``(N, C, H // 2, W // 2)``.
    """

    normed: Tensor
    tangent: Tensor
    inverse: Tensor
    shared: Tensor
    pooled: tuple[Tensor, Tensor, Tensor]


def norm_act_pool_tangent(
    x: Tensor, x_t: Tensor, gain: Tensor, gain_t: Tensor, offset: Tensor, offset_t: Tensor, eps: float = 1e-5
) -> tuple[Tensor, Tensor, Kept]:
    """Return `norm_act_pool`, its tangent and what `norm_act_pool_tangent_backward` needs.

    Args:
        x, x_t: ``(N, C, H, W)``, the planes and their tangent.
        gain, gain_t, offset, offset_t: ``(C,)``, the norm's weight and bias and their tangents.
        eps: added to the variance.
    """
    variance, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
    inverse = (variance + eps).rsqrt()
    normed = (x - mean) * inverse
    shared = (normed * x_t).mean((2, 3), keepdim=True)
    tangent = (x_t - x_t.mean((2, 3), keepdim=True) - normed * shared) * inverse
    g, g_t, b, b_t = (each[:, None, None] for each in (gain, gain_t, offset, offset_t))
    mask = (normed * g + b > 0).to(x.dtype)
    share, level, drift = (F.avg_pool2d(each, 2) for each in (mask, mask * normed, mask * tangent))
    y, y_t = g * level + b * share, g_t * level + g * drift + b_t * share
    return y, y_t, Kept(normed, tangent, inverse, shared, (share, level, drift))


def norm_act_pool_tangent_backward(
    y_c: Tensor, y_ct: Tensor, kept: Kept, gain: Tensor, gain_t: Tensor, offset: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the cotangent of x, its tangent, and the tangents of the cotangents of gain and offset.

    A mean over a plane of a product with ``up(dy)`` is one over the pooled plane: ``sum dz u = sum dy pool(mask u)``.

    Args:
        y_c, y_ct: ``(N, C, H // 2, W // 2)``, the cotangent of the output and its tangent.
        kept: of `norm_act_pool_tangent`.
        gain, gain_t, offset: ``(C,)``, as given there.

    Returns:
        Two tensors ``(N, C, H, W)`` and two ``(C,)``.
    """
    normed, tangent = kept.normed, kept.tangent
    g, g_t, b = (each[:, None, None] for each in (gain, gain_t, offset))
    share, level, drift = kept.pooled
    pixels = normed.shape[2] * normed.shape[3]

    def summed(planes: Tensor) -> Tensor:
        return planes.sum((2, 3), keepdim=True)

    sums, sums_level, sums_drift = (summed(y_c * each) for each in (share, level, drift))
    sums_t, sums_level_t = (summed(y_ct * each) for each in (share, level))
    a, a_t = y_c * g, y_c * g_t + y_ct * g
    mask = (normed * g + b > 0).to(normed.dtype) / 4
    x_c = kept.inverse * (mask * _up(a, normed) - g * sums / pixels - normed * (g * sums_level / pixels))
    constant = (g_t * sums + g * sums_t) / pixels
    linear = (g_t * sums_level + g * sums_level_t + g * sums_drift) / pixels
    x_ct = kept.inverse * (
        mask * _up(a_t, normed) - constant - normed * linear - tangent * (g * sums_level / pixels) - kept.shared * x_c
    )
    return x_c, x_ct, (sums_level_t + sums_drift).sum((0, 2, 3)), sums_t.sum((0, 2, 3))


def _up(y: Tensor, like: Tensor) -> Tensor:
    """Return every pixel in each of the four places that it was pooled from, zeros at an odd edge."""
    height, width = like.shape[2:]
    spread = F.interpolate(y, scale_factor=2, mode="nearest")
    return F.pad(spread, (0, width % 2, 0, height % 2)) if (height % 2 or width % 2) else spread
