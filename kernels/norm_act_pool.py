"""The block of the field's ConvNet after its convolution: instance norm, ReLU, 2x2 average pool.

For one plane (one sample, one channel) of M pixels x, with gain g and offset b of the channel:

    xh = (x - mean(x)) / sqrt(var(x) + eps),   z = g xh + b,   y = pool(relu(z))

``var`` divides by M. An odd last row or column counts in the statistics, not in the pool. On a CPU `norm_act_pool`
consists of PyTorch's operations without an autograd Function: they have first and second derivatives, in forward and
in reverse mode, and can be compiled. The instance norm is a group norm with one channel per group, PyTorch's fastest
form of it. Without an autograd graph the forward pass of the inner loop is used. On a GPU the block is an autograd
Function of the kernels in `ddcore.kernels.norm_act_pool_triton`; planes in channels-last stay in that layout.

The inner loop uses closed forms of the derivatives. ``r = (var + eps)^-1/2`` has the tangent ``r' = -r² mean(xh x')``,
because ``var' = 2 mean((x - mean) x')``; so ``xh = r (x - mean)`` has the tangent P(x') with the self-adjoint
``P(u) = r (u - mean(u) - xh mean(xh u))``. With ``mask = z > 0``, and a dash for the tangent of everything:

    forward    xh' = P(x'),  z' = g' xh + g xh' + b',  y' = pool(mask z')
    backward   dz = mask up(dy) / 4,  db = sum dz,  dg = sum dz xh,  a = g dz,  dx = P(a)
    its tangent, with s = mean(xh x'),  a' = g' dz + g dz':
        dx' = P(a') - r s P(a) - r (xh' mean(a xh) + xh mean(a xh'))
        db' = sum dz',  dg' = sum (dz' xh + dz xh')

dx' is the product rule on ``P(a) = r (a - mean(a) - xh mean(a xh))``, with r' and xh' from above. The backward pass's
derivative is symmetric except in dy: ``(dx, dg, db)`` is the gradient of ``<dy, y>``, so its own backward pass along
``(x', g', b')`` is the same tangent with ``dy' = 0``, and y' is the cotangent of dy.

P is PyTorch's backward pass of a group norm. If every plane is passed as a channel, that operation also returns the
planes' sums of ``xh u`` and ``u``, as the cotangents of a gain and an offset.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

from ddcore.kernels.choice import alike, fused, layout_of

EPS = 1e-5
# Quads, which are 2x2 pixels, of a plane up to which kernels take channels-last: registers hold them for the channels
# of a sector of memory.
MOST_QUADS = 256


def norm_act_pool(x: Tensor, gain: Tensor, offset: Tensor, eps: float = EPS, pool: bool = True) -> Tensor:
    """Return every plane normalised, scaled by its channel, cut at zero and pooled to half its size.

    Args:
        x: ``(N, C, H, W)`` floating point, H and W at least 2.
        gain: ``(C,)``, the norm's weight, of x's dtype.
        offset: ``(C,)``, the norm's bias, of x's dtype.
        eps: added to the variance, so that a constant plane does not divide by zero.
        pool: whether to pool; otherwise y is relu(z).

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
class Saved:
    """The tensors that a forward pass saves for its backward pass.

    Attributes:
        x: ``(N, C, H, W)``, the planes.
        x_t: of that shape, their tangents, or None.
        stats: ``(2 or 4, N, C)``: mean(x) and r; with tangents also mean(x') and mean(xh x').
        pool: whether the planes were pooled.
        cut: relu(z), of x's shape; None for kernels, which recompute it.
        tangent: xh', of x's shape; None for kernels, which recompute it.
    """

    x: Tensor
    x_t: Tensor | None
    stats: Tensor
    pool: bool
    cut: Tensor | None = None
    tangent: Tensor | None = None


def norm_act_pool_forward(
    x: Tensor,
    gain: Tensor,
    offset: Tensor,
    eps: float = EPS,
    pool: bool = True,
    layout: torch.memory_format | None = None,
) -> tuple[Tensor, Saved]:
    """Return the result of `norm_act_pool` and the input of `norm_act_pool_backward`, both without autograd.

    The layout is that of the result, for planes that kernels take in channels-last; None for that of x.

    Raises:
        ValueError: the shapes, dtypes or devices do not fit.
    """
    _check(x, gain, offset)
    x = x.contiguous(memory_format=_layout(x))
    if fused(x):
        from ddcore.kernels import norm_act_pool_triton as fast

        y, stats = fast.forward(x, gain, offset, eps, pool, _result_layout(x, layout))
        return y, Saved(x, None, stats, pool)
    n, c, h, w = x.shape
    z, mean, inverse = torch.native_group_norm(x, gain, offset, n, c, h * w, c, eps)
    cut = z.relu_()
    stats = torch.stack([mean.view(n, c), inverse.view(n, c)])
    return (_pool(cut) if pool else cut), Saved(x, None, stats, pool, cut)


def norm_act_pool_backward(y_c: Tensor, saved: Saved, gain: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cotangent of x for that of the output, and each plane's part of those of gain and offset.

    Args:
        y_c: of the output's shape, its cotangent.
        saved: from `norm_act_pool_forward`.
        gain, offset: ``(C,)``, the same as there.

    Returns:
        ``(N, C, H, W)`` and ``(2, N, C)``; the caller sums the latter over members, for several blocks at once.

    Raises:
        ValueError: the cotangent does not fit.
    """
    _check_cotangents(saved, y_c=y_c)
    if saved.cut is None:
        from ddcore.kernels import norm_act_pool_triton as fast

        y_c = y_c.contiguous(memory_format=_result_layout(saved.x, layout_of(y_c)))
        return fast.backward(y_c, saved.x, saved.stats, gain, offset, saved.pool)
    return _project(_unpool(y_c, saved.cut, saved.pool), saved, gain)


def norm_act_pool_tangent(
    x: Tensor,
    x_t: Tensor,
    gain: Tensor,
    gain_t: Tensor,
    offset: Tensor,
    offset_t: Tensor,
    eps: float = EPS,
    pool: bool = True,
    layout: torch.memory_format | None = None,
) -> tuple[Tensor, Saved]:
    """Return the result of `norm_act_pool`, its tangent, and the input of `norm_act_pool_tangent_backward`.

    Args:
        x, x_t: ``(N, C, H, W)``, the planes and their tangent.
        gain, gain_t, offset, offset_t: ``(C,)``, the norm's weight and bias and their tangents.
        eps: added to the variance.
        pool: whether to pool.
        layout: of the result, for planes that kernels take in channels-last; None for that of x.

    Returns:
        ``(2N, C, H // 2, W // 2)``, first y and then y': one tensor, so that one convolution computes both.

    Raises:
        ValueError: the shapes, dtypes or devices do not fit.
    """
    _check(x, gain, offset)
    _check(x_t, gain_t, offset_t, x)
    x, x_t = (each.contiguous(memory_format=_layout(x)) for each in (x, x_t))
    if fused(x):
        from ddcore.kernels import norm_act_pool_triton as fast

        given = x, x_t, gain, gain_t, offset, offset_t, eps, pool
        both, stats = fast.tangent(*given, _result_layout(x, layout))
        return both, Saved(x, x_t, stats, pool)
    n, c, h, w = x.shape
    z, mean, inverse = torch.native_group_norm(x, gain, offset, n, c, h * w, c, eps)
    saved = Saved(x, x_t, torch.stack([mean.view(n, c), inverse.view(n, c)]), pool, z.relu_())
    saved.tangent, sums = _project(x_t, saved)
    saved.stats = torch.cat([saved.stats, sums.flip(0) / (h * w)])
    g, g_t, b_t = (each[:, None, None] for each in (gain, gain_t, offset_t))
    slope = g_t * inverse.view(n, c, 1, 1)
    z_t = (saved.tangent * g).addcmul_(x, slope).add_(b_t - slope * mean.view(n, c, 1, 1))
    cut_t = torch.ops.aten.threshold_backward.grad_input(z_t, z, 0, grad_input=z_t)
    if not pool:
        return torch.cat([z, cut_t]), saved
    both = x.new_empty(2 * n, c, h // 2, w // 2)
    _pool(z, both[:n])
    _pool(cut_t, both[n:])
    return both, saved


def norm_act_pool_tangent_backward(
    y_c: Tensor, y_ct: Tensor, saved: Saved, gain: Tensor, gain_t: Tensor, offset: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the tangent of x's cotangent, that cotangent, and each plane's part of the tangents of gain and offset.

    Args:
        y_c, y_ct: of the output's shape, its cotangent and the tangent of that.
        saved: from `norm_act_pool_tangent`.
        gain, gain_t, offset: ``(C,)``, the same as there.

    Returns:
        ``(2N, C, H, W)``, first dx' and then dx, and ``(2, N, C)``; the caller sums the latter over members.

    Raises:
        ValueError: a cotangent does not fit.
    """
    _check_cotangents(saved, y_c=y_c, y_ct=y_ct)
    if saved.cut is None or saved.tangent is None:
        assert saved.x_t is not None
        from ddcore.kernels import norm_act_pool_triton as fast

        layout = _result_layout(saved.x, layout_of(y_c))
        y_c, y_ct = (each.contiguous(memory_format=layout) for each in (y_c, y_ct))
        return fast.tangent_backward(y_c, y_ct, saved.x, saved.x_t, saved.stats, gain, gain_t, offset, saved.pool)
    cut, tangent = saved.cut, saved.tangent
    n, c, h, w = saved.x.shape
    g, g_t = gain[:, None, None], gain_t[:, None, None]
    z_c, z_ct = _unpool(y_c, cut, saved.pool), _unpool(y_ct, cut, saved.pool)
    plain, sums = _project(z_c, saved)
    plain_t, sums_t = _project(z_ct, saved)
    moved = torch.linalg.vecdot(z_c.view(n, c, -1), tangent.view(n, c, -1))
    mean, r, _, shared = saved.stats[..., None, None]
    bend = r * r * g * moved[..., None, None] / (h * w)
    both = saved.x.new_empty(2 * n, c, h, w)
    torch.mul(plain, g, out=both[n:])
    x_ct = torch.mul(plain_t, g, out=both[:n])
    x_ct.addcmul_(plain, g_t - g * r * shared).addcmul_(tangent, -r * g * sums[0, ..., None, None] / (h * w))
    x_ct.addcmul_(saved.x, -bend).add_(bend * mean)
    sums_t[0] += moved
    return both, sums_t


class BlockContext(FunctionCtx):
    """The state that autograd keeps between forward and backward."""

    saved_tensors: tuple[Tensor, ...]
    eps: float
    pool: bool


class NormActPool(Function):
    """The block for autograd, with kernels for every derivative up to the second."""

    @staticmethod
    def forward(x: Tensor, gain: Tensor, offset: Tensor, eps: float, pool: bool) -> tuple[Tensor, Tensor]:
        """Return y and the statistics, see `Saved`."""
        y, saved = norm_act_pool_forward(x, gain, offset, eps, pool)
        return y, saved.stats

    @staticmethod
    def setup_context(
        ctx: BlockContext, inputs: tuple[Tensor, Tensor, Tensor, float, bool], output: tuple[Tensor, Tensor]
    ) -> None:
        """Save the inputs."""
        x, gain, offset, ctx.eps, ctx.pool = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(x, gain, offset, output[1])
        ctx.save_for_forward(x, gain, offset)

    @staticmethod
    def backward(ctx: BlockContext, y_c: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """Return the cotangents."""
        x, gain, offset, stats = ctx.saved_tensors
        return *NormActPoolBackward.apply(y_c, x, gain, offset, stats, ctx.eps, ctx.pool), None, None

    @staticmethod
    def jvp(ctx: BlockContext, x_t: Tensor, gain_t: Tensor, offset_t: Tensor, *_: None) -> tuple[Tensor, None]:
        """Return the tangent of y."""
        x, gain, offset = ctx.saved_tensors
        both, _saved = norm_act_pool_tangent(x, x_t, gain, gain_t, offset, offset_t, ctx.eps, ctx.pool)
        return both[len(x) :], None


class NormActPoolBackward(Function):
    """The backward pass of the block, which has derivatives of its own."""

    @staticmethod
    def forward(
        y_c: Tensor, x: Tensor, gain: Tensor, offset: Tensor, stats: Tensor, eps: float, pool: bool
    ) -> tuple[Tensor, ...]:
        """Return the cotangents of x, gain and offset."""
        saved = Saved(x.contiguous(memory_format=_layout(x)), None, stats, pool)
        if not fused(x):
            _, saved = norm_act_pool_forward(x, gain, offset, eps, pool)
        x_c, sums = norm_act_pool_backward(y_c, saved, gain, offset)
        return x_c, *sums.sum(1).to(x.dtype)

    @staticmethod
    def setup_context(
        ctx: BlockContext,
        inputs: tuple[Tensor, Tensor, Tensor, Tensor, Tensor, float, bool],
        output: tuple[Tensor, ...],
    ) -> None:
        """Save the inputs."""
        y_c, x, gain, offset, _, ctx.eps, ctx.pool = inputs
        ctx.save_for_backward(y_c, x, gain, offset)
        ctx.save_for_forward(y_c, x, gain, offset)

    @staticmethod
    @once_differentiable
    def backward(ctx: BlockContext, x_t: Tensor, gain_t: Tensor, offset_t: Tensor) -> tuple[Tensor | None, ...]:
        """Return the derivatives along the cotangents of the cotangents: by symmetry tangents, see the file's head."""
        y_c, x, gain, offset = ctx.saved_tensors
        both, saved = norm_act_pool_tangent(x, x_t, gain, gain_t, offset, offset_t, ctx.eps, ctx.pool)
        down, sums = norm_act_pool_tangent_backward(y_c, torch.zeros_like(y_c), saved, gain, gain_t, offset)
        return both[len(x) :], down[: len(x)], *sums.sum(1).to(x.dtype), None, None, None

    @staticmethod
    def jvp(
        ctx: BlockContext, y_ct: Tensor, x_t: Tensor, gain_t: Tensor, offset_t: Tensor, *_: Tensor | None
    ) -> tuple[Tensor, ...]:
        """Return the tangents of the cotangents."""
        y_c, x, gain, offset = ctx.saved_tensors
        _both, saved = norm_act_pool_tangent(x, x_t, gain, gain_t, offset, offset_t, ctx.eps, ctx.pool)
        down, sums = norm_act_pool_tangent_backward(y_c, y_ct, saved, gain, gain_t, offset)
        return down[: len(x)], *sums.sum(1).to(x.dtype)


def quads(x: Tensor) -> int:
    """Return the number of 2x2 pixels that cover a plane of x ``(N, C, H, W)``, an odd last row and column included."""
    return ((x.shape[2] + 1) // 2) * ((x.shape[3] + 1) // 2)


def _layout(x: Tensor) -> torch.memory_format:
    """Return the layout in which planes like those of x are computed: kernels keep channels-last."""
    return layout_of(x) if fused(x) and quads(x) <= MOST_QUADS else torch.contiguous_format


def _result_layout(x: Tensor, layout: torch.memory_format | None) -> torch.memory_format:
    """Return the layout of a result, or of its cotangent, that kernels write or read for planes x."""
    own = layout_of(x)
    return own if layout is None or own == torch.contiguous_format else layout


def _check(x: Tensor, gain: Tensor, offset: Tensor, like: Tensor | None = None) -> None:
    if x.ndim != 4 or min(x.shape[2:]) < 2 or not len(x) or not x.is_floating_point():
        raise ValueError(f"x must be (N, C, H, W) with planes of at least 2x2, not {tuple(x.shape)} {x.dtype}")
    tangent = "" if like is None else "_t"
    if like is not None:
        alike("x_t", x, like)
    alike(f"gain{tangent}", gain, x, x.shape[1:2])
    alike(f"offset{tangent}", offset, x, x.shape[1:2])


def _check_cotangents(saved: Saved, **cotangents: Tensor) -> None:
    n, c, h, w = saved.x.shape
    for name, tensor in cotangents.items():
        alike(name, tensor, saved.x, (n, c, h // 2, w // 2) if saved.pool else (n, c, h, w))


def _project(u: Tensor, saved: Saved, gain: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return ``P(gain u)``, and each plane's sums of ``xh u`` and of ``u``: ``(2, N, C)``."""
    n, c, h, w = u.shape
    weights = u.new_ones(n * c) if gain is None else gain.repeat(n)  # PyTorch 2.11 does not take None
    mean, inverse = saved.stats[:2].view(2, 1, n * c)
    projected, along, summed = torch.ops.aten.native_group_norm_backward(
        u.contiguous().view(1, n * c, h, w),
        saved.x.view(1, n * c, h, w),
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
    """Return ``mask up(y) / 4``: every pixel at the four places that were pooled into it, zero where `cut` is zero."""
    if not pool:
        return torch.ops.aten.threshold_backward(y, cut, 0)
    n, c, height, width = cut.shape
    h, w = y.shape[2:]
    twice = torch.arange(w, device=y.device).repeat_interleave(2).repeat(2)
    up = (y * 0.25).flatten(0, 2).index_select(1, twice).view(n, c, 2 * h, 2 * w)
    up = F.pad(up, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else up
    return torch.ops.aten.threshold_backward.grad_input(up, cut, 0, grad_input=up)
