"""The block of the field's ConvNet after its convolution: instance norm, ReLU, 2x2 average pool.

For one plane (one sample, one channel) of M pixels x, with gain g and offset b of the channel:

    xh = (x - mean(x)) / sqrt(var(x) + eps),   z = g xh + b,   y = pool(relu(z))

``var`` divides by M. An odd last row or column counts in the statistics, not in the pool. `norm_act_pool` is PyTorch's
own operations without an autograd Function: they have first and second derivatives, in forward and in reverse mode,
and can be compiled. An instance norm is a group norm with one channel a group, which is the fastest way to say it.

The inner loop runs the derivatives by hand instead. With ``r = (var + eps)^-1/2``, ``mask = z > 0`` and the
self-adjoint ``P(u) = r (u - mean(u) - xh mean(xh u))``, and a dash for the tangent of everything:

    forward    xh' = P(x'),  z' = g' xh + g xh' + b',  y' = pool(mask z')
    backward   dz = mask up(dy) / 4,  db = sum dz,  dg = sum dz xh,  a = g dz,  dx = P(a)
    its tangent, with s = mean(xh x'),  a' = g' dz + g dz':
        dx' = P(a') - r s P(a) - r (xh' mean(a xh) + xh mean(a xh'))
        db' = sum dz',  dg' = sum (dz' xh + dz xh')

P is what PyTorch calls the backward pass of a group norm. Told that every plane is a channel, that one operation
returns P(u) and, as the cotangents of a gain and an offset, the planes' sums of ``xh u`` and ``u``.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

EPS = 1e-5


def norm_act_pool(x: Tensor, gain: Tensor, offset: Tensor, eps: float = EPS) -> Tensor:
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
    _check(x, gain, offset)
    return F.avg_pool2d(F.relu(F.group_norm(x, x.shape[1], gain, offset, eps)), 2)


@dataclass
class Kept:
    """What the backward pass needs of the forward pass.

    Attributes:
        x: ``(N, C, H, W)``, the planes.
        cut: ``(N, C, H, W)``, relu(z).
        mean, inverse: ``(N, C, 1, 1)``, of the planes: the mean and the inverse deviation r.
    """

    x: Tensor
    cut: Tensor
    mean: Tensor
    inverse: Tensor


@dataclass
class KeptTangent(Kept):
    """What the tangent's backward pass needs.

    Attributes:
        tangent: ``(N, C, H, W)``, the tangents xh' of the normalised planes.
        shared: ``(N, C, 1, 1)``, the means s of ``xh x'``.
    """

    tangent: Tensor
    shared: Tensor


def norm_act_pool_forward(x: Tensor, gain: Tensor, offset: Tensor, eps: float = EPS) -> tuple[Tensor, Kept]:
    """Return `norm_act_pool` of these and what `norm_act_pool_backward` needs; autograd sees neither."""
    _check(x, gain, offset)
    x = x.contiguous()
    n, c, h, w = x.shape
    z, mean, inverse = torch.native_group_norm(x, gain, offset, n, c, h * w, c, eps)
    cut = z.relu_()
    return _pool(cut), Kept(x, cut, mean.view(n, c, 1, 1), inverse.view(n, c, 1, 1))


def norm_act_pool_backward(y_c: Tensor, kept: Kept, gain: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the cotangents of x, gain and offset for that of the output, ``(N, C, H // 2, W // 2)``."""
    x_c, gained, summed = _project(_unpool(y_c, kept.cut), kept, gain)
    return x_c, gained.sum((0, 2, 3)), summed.sum((0, 2, 3))


def norm_act_pool_tangent(
    x: Tensor, x_t: Tensor, gain: Tensor, gain_t: Tensor, offset: Tensor, offset_t: Tensor, eps: float = EPS
) -> tuple[Tensor, Tensor, KeptTangent]:
    """Return `norm_act_pool`, its tangent and what `norm_act_pool_tangent_backward` needs.

    Args:
        x, x_t: ``(N, C, H, W)``, the planes and their tangent.
        gain, gain_t, offset, offset_t: ``(C,)``, the norm's weight and bias and their tangents.
        eps: added to the variance.
    """
    y, kept = norm_act_pool_forward(x, gain, offset, eps)
    tangent, shared, _ = _project(x_t.contiguous(), kept)
    g, g_t, b_t = (each[:, None, None] for each in (gain, gain_t, offset_t))
    slope = g_t * kept.inverse
    z_t = (tangent * g).addcmul_(kept.x, slope).add_(b_t - slope * kept.mean)
    y_t = _pool(torch.ops.aten.threshold_backward(z_t, kept.cut, 0))
    pixels = x.shape[2] * x.shape[3]
    return y, y_t, KeptTangent(kept.x, kept.cut, kept.mean, kept.inverse, tangent, shared / pixels)


def norm_act_pool_tangent_backward(
    y_c: Tensor, y_ct: Tensor, kept: KeptTangent, gain: Tensor, gain_t: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the cotangent of x, its tangent, and the tangents of the cotangents of gain and offset.

    Args:
        y_c, y_ct: ``(N, C, H // 2, W // 2)``, the cotangent of the output and its tangent.
        kept: of `norm_act_pool_tangent`.
        gain, gain_t: ``(C,)``, as given there.

    Returns:
        Two tensors ``(N, C, H, W)`` and two ``(C,)``.
    """
    n, c, h, w = kept.x.shape
    g, g_t = gain[:, None, None], gain_t[:, None, None]
    z_c, z_ct = _unpool(y_c, kept.cut), _unpool(y_ct, kept.cut)
    plain, gained, _ = _project(z_c, kept)
    x_ct, gained_t, summed_t = _project(z_ct, kept)
    moved = torch.linalg.vecdot(z_c.view(n, c, -1), kept.tangent.view(n, c, -1))[:, :, None, None]
    r = kept.inverse
    bend = r * r * g * moved / (h * w)
    x_ct.mul_(g).addcmul_(plain, g_t - g * r * kept.shared).addcmul_(kept.tangent, -r * g * gained / (h * w))
    x_ct.addcmul_(kept.x, -bend).add_(bend * kept.mean)
    return plain.mul_(g), x_ct, (gained_t + moved).sum((0, 2, 3)), summed_t.sum((0, 2, 3))


def _check(x: Tensor, gain: Tensor, offset: Tensor) -> None:
    if x.ndim != 4 or min(x.shape[2:]) < 2:
        raise ValueError(f"x must be (N, C, H, W) with planes of at least 2x2, not {tuple(x.shape)}")
    for name, tensor in (("gain", gain), ("offset", offset)):
        if tensor.shape != x.shape[1:2] or tensor.dtype != x.dtype:
            wanted = f"({x.shape[1]},) {x.dtype}"
            raise ValueError(f"{name} must be {wanted}, not {tuple(tensor.shape)} {tensor.dtype}")


def _project(u: Tensor, kept: Kept, gain: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``P(gain u)`` and each plane's sums of ``xh u`` and of ``u``, ``(N, C, 1, 1)``."""
    n, c, h, w = u.shape
    weights = None if gain is None else gain.repeat(n)
    planes, mean, inverse = kept.x.view(1, n * c, h, w), kept.mean.view(1, -1), kept.inverse.view(1, -1)
    projected, along, summed = torch.ops.aten.native_group_norm_backward(
        u.view(1, n * c, h, w), planes, mean, inverse, weights, 1, n * c, h * w, n * c, [True, True, True]
    )
    return projected.view(n, c, h, w), along.view(n, c, 1, 1), summed.view(n, c, 1, 1)


def _pool(x: Tensor) -> Tensor:
    """Return the means of 2x2 pixels: faster on a CPU than PyTorch's pool, which works pixel by pixel."""
    h, w = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
    rows = x[:, :, 0:h:2, :w] + x[:, :, 1:h:2, :w]
    return (rows[..., 0::2] + rows[..., 1::2]).mul_(0.25)


def _unpool(y: Tensor, cut: Tensor) -> Tensor:
    """Return ``mask up(y) / 4``: every pixel in the places that it was pooled from, zero where `cut` is."""
    n, c, height, width = cut.shape
    h, w = y.shape[2:]
    twice = torch.arange(w, device=y.device).repeat_interleave(2).repeat(2)
    up = (y * 0.25).flatten(0, 2).index_select(1, twice).view(n, c, 2 * h, 2 * w)
    up = F.pad(up, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else up
    return torch.ops.aten.threshold_backward.grad_input(up, cut, 0, grad_input=up)
