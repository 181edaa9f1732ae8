"""The block of the field's ConvNet after its convolution: instance norm, ReLU, 2x2 average pool.

For one plane (one sample, one channel) of M pixels x, with gain g and offset b of the channel:

    xh = (x - mean(x)) / sqrt(var(x) + eps),   z = g xh + b,   y = pool(relu(z))

``var`` divides by M. An odd last row or column counts in the statistics, not in the pool. On a CPU
`norm_act_pool` is PyTorch's own operations without an autograd Function: they have first and second derivatives, in
forward and in reverse mode, and can be compiled. An instance norm is a group norm with one channel a group, which is
the fastest way to say it; where no graph is kept, the forward pass of the inner loop serves. On a GPU it is an autograd
Function of the kernels in `kernels.norm_act_pool_triton`.

The inner loop runs the derivatives by hand instead. With ``r = (var + eps)^-1/2``, ``mask = z > 0`` and the
self-adjoint ``P(u) = r (u - mean(u) - xh mean(xh u))``, and a dash for the tangent of everything:

    forward    xh' = P(x'),  z' = g' xh + g xh' + b',  y' = pool(mask z')
    backward   dz = mask up(dy) / 4,  db = sum dz,  dg = sum dz xh,  a = g dz,  dx = P(a)
    its tangent, with s = mean(xh x'),  a' = g' dz + g dz':
        dx' = P(a') - r s P(a) - r (xh' mean(a xh) + xh mean(a xh'))
        db' = sum dz',  dg' = sum (dz' xh + dz xh')

The derivative of the backward pass is symmetric but for dy: ``(dx, dg, db)`` is the gradient of ``<dy, y>``, so that
its own backward pass along ``(x', g', b')`` is the same tangent with ``dy' = 0``, and y' for the cotangent of dy.

P is what PyTorch calls the backward pass of a group norm. Told that every plane is a channel, that one operation
returns P(u) and, as the cotangents of a gain and an offset, the planes' sums of ``xh u`` and ``u``.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from kernels import norm_act_pool_triton as fast
from kernels.choice import alike, fused

EPS = 1e-5


def norm_act_pool(x: Tensor, gain: Tensor, offset: Tensor, eps: float = EPS, pool: bool = True) -> Tensor:
    """Normalise every plane, scale it by its channel, cut at zero and halve it.

    Args:
        x: ``(N, C, H, W)`` floating point, H and W at least 2.
        gain: ``(C,)``, the norm's weight, of x's dtype.
        offset: ``(C,)``, the norm's bias, of x's dtype.
        eps: added to the variance; no plane divides by zero.
        pool: whether to halve it; else y is relu(z).

    Returns:
        ``(N, C, H // 2, W // 2)`` of x's dtype. Twice differentiable in all three tensors.

    Raises:
        ValueError: the shapes, dtypes or devices do not fit.
    """
    _check(x, gain, offset)
    if fused(x):
        y: Tensor = NormActPool.apply(x, gain, offset, eps, pool)[0]
        return y
    if not torch.is_grad_enabled():
        return norm_act_pool_forward(x, gain, offset, eps, pool)[0]
    cut = F.relu(F.group_norm(x, x.shape[1], gain, offset, eps))
    return F.avg_pool2d(cut, 2) if pool else cut


@dataclass
class Kept:
    """What a backward pass needs of the forward pass.

    Attributes:
        x: ``(N, C, H, W)``, the planes.
        x_t: of that shape, their tangents; None without them.
        stats: ``(2 or 4, N, C)``: mean(x) and r; with tangents also mean(x') and mean(xh x').
        pool: whether the planes were pooled.
        cut: relu(z), of x's shape; None where kernels find it anew.
        tangent: xh', of x's shape; None where kernels find it anew.
    """

    x: Tensor
    x_t: Tensor | None
    stats: Tensor
    pool: bool
    cut: Tensor | None = None
    tangent: Tensor | None = None


def norm_act_pool_forward(
    x: Tensor, gain: Tensor, offset: Tensor, eps: float = EPS, pool: bool = True
) -> tuple[Tensor, Kept]:
    """Return `norm_act_pool` of these and what `norm_act_pool_backward` needs; autograd sees neither.

    Raises:
        ValueError: the shapes, dtypes or devices do not fit.
    """
    _check(x, gain, offset)
    x = x.contiguous()
    if fused(x):
        y, stats = fast.forward(x, gain, offset, eps, pool)
        return y, Kept(x, None, stats, pool)
    n, c, h, w = x.shape
    z, mean, inverse = torch.native_group_norm(x, gain, offset, n, c, h * w, c, eps)
    cut = z.relu_()
    stats = torch.stack([mean.view(n, c), inverse.view(n, c)])
    return (_pool(cut) if pool else cut), Kept(x, None, stats, pool, cut)


def norm_act_pool_backward(y_c: Tensor, kept: Kept, gain: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cotangent of x for that of the output, and what gain and offset receive from each plane.

    Args:
        y_c: of the output's shape, its cotangent.
        kept: of `norm_act_pool_forward`.
        gain, offset: ``(C,)``, as given there.

    Returns:
        ``(N, C, H, W)``, and ``(2, N, C)`` to be summed over the members: of several blocks at once.

    Raises:
        ValueError: the cotangent does not fit.
    """
    _check_cotangents(kept, y_c=y_c)
    if kept.cut is None:
        return fast.backward(y_c.contiguous(), kept.x, kept.stats, gain, offset, kept.pool)
    return _project(_unpool(y_c, kept.cut, kept.pool), kept, gain)


def norm_act_pool_tangent(
    x: Tensor,
    x_t: Tensor,
    gain: Tensor,
    gain_t: Tensor,
    offset: Tensor,
    offset_t: Tensor,
    eps: float = EPS,
    pool: bool = True,
) -> tuple[Tensor, Kept]:
    """Return `norm_act_pool` above its tangent, and what `norm_act_pool_tangent_backward` needs.

    Args:
        x, x_t: ``(N, C, H, W)``, the planes and their tangent.
        gain, gain_t, offset, offset_t: ``(C,)``, the norm's weight and bias and their tangents.
        eps: added to the variance.
        pool: whether to halve the planes.

    Returns:
        ``(2N, C, H // 2, W // 2)``, first y and then y': one tensor, for one convolution of both.

    Raises:
        ValueError: the shapes, dtypes or devices do not fit.
    """
    _check(x, gain, offset)
    _check(x_t, gain_t, offset_t, x)
    x, x_t = x.contiguous(), x_t.contiguous()
    if fused(x):
        both, stats = fast.tangent(x, x_t, gain, gain_t, offset, offset_t, eps, pool)
        return both, Kept(x, x_t, stats, pool)
    n, c, h, w = x.shape
    z, mean, inverse = torch.native_group_norm(x, gain, offset, n, c, h * w, c, eps)
    kept = Kept(x, x_t, torch.stack([mean.view(n, c), inverse.view(n, c)]), pool, z.relu_())
    kept.tangent, sums = _project(x_t, kept)
    kept.stats = torch.cat([kept.stats, sums.flip(0) / (h * w)])
    g, g_t, b_t = (each[:, None, None] for each in (gain, gain_t, offset_t))
    slope = g_t * inverse.view(n, c, 1, 1)
    z_t = (kept.tangent * g).addcmul_(x, slope).add_(b_t - slope * mean.view(n, c, 1, 1))
    cut_t = torch.ops.aten.threshold_backward.grad_input(z_t, z, 0, grad_input=z_t)
    if not pool:
        return torch.cat([z, cut_t]), kept
    both = x.new_empty(2 * n, c, h // 2, w // 2)
    _pool(z, both[:n])
    _pool(cut_t, both[n:])
    return both, kept


def norm_act_pool_tangent_backward(
    y_c: Tensor, y_ct: Tensor, kept: Kept, gain: Tensor, gain_t: Tensor, offset: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the tangent of x's cotangent above that cotangent, and the tangent of what gain and offset receive.

    Args:
        y_c, y_ct: of the output's shape, its cotangent and the tangent of that.
        kept: of `norm_act_pool_tangent`.
        gain, gain_t, offset: ``(C,)``, as given there.

    Returns:
        ``(2N, C, H, W)``, first dx' and then dx, and ``(2, N, C)``, to be summed over the members.

    Raises:
        ValueError: a cotangent does not fit.
    """
    _check_cotangents(kept, y_c=y_c, y_ct=y_ct)
    if kept.cut is None or kept.tangent is None:
        assert kept.x_t is not None
        return fast.tangent_backward(
            y_c.contiguous(), y_ct.contiguous(), kept.x, kept.x_t, kept.stats, gain, gain_t, offset, kept.pool
        )
    cut, tangent = kept.cut, kept.tangent
    n, c, h, w = kept.x.shape
    g, g_t = gain[:, None, None], gain_t[:, None, None]
    z_c, z_ct = _unpool(y_c, cut, kept.pool), _unpool(y_ct, cut, kept.pool)
    plain, sums = _project(z_c, kept)
    plain_t, sums_t = _project(z_ct, kept)
    moved = torch.linalg.vecdot(z_c.view(n, c, -1), tangent.view(n, c, -1))
    mean, r, _, shared = kept.stats[..., None, None]
    bend = r * r * g * moved[..., None, None] / (h * w)
    both = kept.x.new_empty(2 * n, c, h, w)
    torch.mul(plain, g, out=both[n:])
    x_ct = torch.mul(plain_t, g, out=both[:n])
    x_ct.addcmul_(plain, g_t - g * r * shared).addcmul_(tangent, -r * g * sums[0, ..., None, None] / (h * w))
    x_ct.addcmul_(kept.x, -bend).add_(bend * mean)
    sums_t[0] += moved
    return both, sums_t


class NormActPool(Function):
    """The block for autograd, with kernels for every derivative up to the second."""

    @staticmethod
    def forward(x: Tensor, gain: Tensor, offset: Tensor, eps: float, pool: bool) -> tuple[Tensor, Tensor]:
        """Return y and the statistics of `Kept`."""
        y, kept = norm_act_pool_forward(x, gain, offset, eps, pool)
        return y, kept.stats

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        """Keep the inputs."""
        x, gain, offset, ctx.eps, ctx.pool = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(x, gain, offset, output[1])
        ctx.save_for_forward(x, gain, offset)

    @staticmethod
    def backward(ctx: Any, y_c: Tensor, _: Any) -> tuple[Any, ...]:
        """Return the cotangents."""
        x, gain, offset, stats = ctx.saved_tensors
        return *NormActPoolBackward.apply(y_c, x, gain, offset, stats, ctx.eps, ctx.pool), None, None

    @staticmethod
    def jvp(ctx: Any, x_t: Tensor, gain_t: Tensor, offset_t: Tensor, *_: Any) -> tuple[Any, ...]:
        """Return the tangent of y."""
        x, gain, offset = ctx.saved_tensors
        both, _kept = norm_act_pool_tangent(x, x_t, gain, gain_t, offset, offset_t, ctx.eps, ctx.pool)
        return both[len(x) :], None


class NormActPoolBackward(Function):
    """The backward pass of the block, which has derivatives of its own."""

    @staticmethod
    def forward(
        y_c: Tensor, x: Tensor, gain: Tensor, offset: Tensor, stats: Tensor, eps: float, pool: bool
    ) -> tuple[Tensor, ...]:
        """Return the cotangents of x, gain and offset."""
        kept = Kept(x.contiguous(), None, stats, pool)
        if not fused(x):
            _, kept = norm_act_pool_forward(x, gain, offset, eps, pool)
        x_c, sums = norm_act_pool_backward(y_c, kept, gain, offset)
        return x_c, *sums.sum(1).to(x.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep the inputs."""
        y_c, x, gain, offset, _, ctx.eps, ctx.pool = inputs
        ctx.save_for_backward(y_c, x, gain, offset)
        ctx.save_for_forward(y_c, x, gain, offset)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, x_t: Tensor, gain_t: Tensor, offset_t: Tensor) -> tuple[Any, ...]:
        """Return what the cotangents of cotangents are worth: the tangents along them, see the head of this file."""
        y_c, x, gain, offset = ctx.saved_tensors
        both, kept = norm_act_pool_tangent(x, x_t, gain, gain_t, offset, offset_t, ctx.eps, ctx.pool)
        down, sums = norm_act_pool_tangent_backward(y_c, torch.zeros_like(y_c), kept, gain, gain_t, offset)
        return both[len(x) :], down[: len(x)], *sums.sum(1).to(x.dtype), None, None, None

    @staticmethod
    def jvp(ctx: Any, y_ct: Tensor, x_t: Tensor, gain_t: Tensor, offset_t: Tensor, *_: Any) -> tuple[Tensor, ...]:
        """Return the tangents of the cotangents."""
        y_c, x, gain, offset = ctx.saved_tensors
        _both, kept = norm_act_pool_tangent(x, x_t, gain, gain_t, offset, offset_t, ctx.eps, ctx.pool)
        down, sums = norm_act_pool_tangent_backward(y_c, y_ct, kept, gain, gain_t, offset)
        return down[: len(x)], *sums.sum(1).to(x.dtype)


def _check(x: Tensor, gain: Tensor, offset: Tensor, like: Tensor | None = None) -> None:
    if x.ndim != 4 or min(x.shape[2:]) < 2 or not len(x) or not x.is_floating_point():
        raise ValueError(f"x must be (N, C, H, W) with planes of at least 2x2, not {tuple(x.shape)} {x.dtype}")
    tangent = "" if like is None else "_t"
    if like is not None:
        alike("x_t", x, like)
    alike(f"gain{tangent}", gain, x, x.shape[1:2])
    alike(f"offset{tangent}", offset, x, x.shape[1:2])


def _check_cotangents(kept: Kept, **given: Tensor) -> None:
    n, c, h, w = kept.x.shape
    for name, tensor in given.items():
        alike(name, tensor, kept.x, (n, c, h // 2, w // 2) if kept.pool else (n, c, h, w))


def _project(u: Tensor, kept: Kept, gain: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return ``P(gain u)``, and each plane's sums of ``xh u`` and of ``u``: ``(2, N, C)``."""
    n, c, h, w = u.shape
    weights = None if gain is None else gain.repeat(n)
    mean, inverse = kept.stats[:2].view(2, 1, n * c)
    projected, along, summed = torch.ops.aten.native_group_norm_backward(
        u.contiguous().view(1, n * c, h, w),
        kept.x.view(1, n * c, h, w),
        mean,
        inverse,
        weights,
        1,
        n * c,
        h * w,
        n * c,
        [True, True, True],
    )
    return projected.view(n, c, h, w), torch.stack([along, summed]).view(2, n, c)


def _pool(x: Tensor, out: Tensor | None = None) -> Tensor:
    """Return the means of 2x2 pixels: faster on a CPU than PyTorch's pool, which works pixel by pixel."""
    h, w = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
    rows = x[:, :, 0:h:2, :w] + x[:, :, 1:h:2, :w]
    return torch.add(rows[..., 0::2], rows[..., 1::2], out=out).mul_(0.25)


def _unpool(y: Tensor, cut: Tensor, pool: bool) -> Tensor:
    """Return ``mask up(y) / 4``: every pixel in the places that it was pooled from, zero where `cut` is."""
    if not pool:
        return torch.ops.aten.threshold_backward(y, cut, 0)
    n, c, height, width = cut.shape
    h, w = y.shape[2:]
    twice = torch.arange(w, device=y.device).repeat_interleave(2).repeat(2)
    up = (y * 0.25).flatten(0, 2).index_select(1, twice).view(n, c, 2 * h, 2 * w)
    up = F.pad(up, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else up
    return torch.ops.aten.threshold_backward.grad_input(up, cut, 0, grad_input=up)
