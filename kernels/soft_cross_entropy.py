"""Cross-entropy with soft labels: the loss, its gradient in logits and labels, and the tangents of both.

For one member with logits z, labels y of any sum Y, temperature T, ``p = softmax(z / T)`` and the loss's cotangent c:

    loss = -sum y log p
    dz = c (Y p - y) / T,    dy = -c log p

and along tangents z', y', c', with ``q = (z' - <p, z'>) / T``, so that ``p' = p q`` and ``(log p)' = q``:

    loss' = -sum (y' log p + y q)
    dz' = (c' (Y p - y) + c (Y' p + Y p q - y')) / T,    dy' = -c' log p - c q

q follows from ``log p = z / T - log sum exp(z / T)``: the tangent of the last term is ``<p, z'> / T``. The derivative
of the gradient is symmetric: the backward pass of ``(dz, dy)`` along ``(z', y')`` is dz' and dy' with ``c' = 0``, and
loss' for c.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

from kernels.choice import FUSION, alike, fused, power_of_two

# Elements of a matrix per program: 8 per thread of two warps.
HELD, WARPS = 512, 2


def soft_cross_entropy(logits: Tensor, y: Tensor, temperature: float = 1.0) -> Tensor:
    """Return each member's cross-entropy ``(N,)``, in nats.

    Args:
        logits: ``(N, K)`` floating point.
        y: ``(N, K)`` of the same dtype, label probabilities (of any sum).
        temperature: divides the logits.

    Returns:
        Twice differentiable in logits and labels.

    Raises:
        ValueError: shapes, dtypes or devices do not fit, or the temperature is not above zero.
    """
    _check(logits, y, temperature)
    if fused(logits):
        loss: Tensor = SoftCrossEntropy.apply(logits, y, temperature)
        return loss
    return -(y * F.log_softmax(logits / temperature, 1)).sum(1)


def soft_cross_entropy_backward(
    c: Tensor, logits: Tensor, y: Tensor, temperature: float = 1.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the losses ``(N,)`` and, for their cotangents c ``(N,)``, those of logits and labels, ``(N, K)`` each.

    Raises:
        ValueError: shapes, dtypes or devices do not fit, or the temperature is not above zero.
    """
    _check(logits, y, temperature)
    alike("c", c, logits, logits.shape[:1])
    if fused(logits):
        return _fused_backward(c, logits, y, temperature)
    log_p = F.log_softmax(logits / temperature, 1)
    c = c[:, None]
    excess = y.sum(1, keepdim=True) * log_p.exp() - y
    return -(y * log_p).sum(1), c * excess / temperature, -c * log_p


def soft_cross_entropy_tangent(
    c: Tensor, c_t: Tensor, logits: Tensor, logits_t: Tensor, y: Tensor, y_t: Tensor, temperature: float = 1.0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the losses' tangents ``(N,)``, the cotangents of the logits, their tangents, and those of the labels'.

    Args:
        c, c_t: ``(N,)``, the losses' cotangents and their tangents.
        logits, logits_t, y, y_t: ``(N, K)``, logits and labels and their tangents.
        temperature: divides the logits.

    Raises:
        ValueError: shapes, dtypes or devices do not fit, or the temperature is not above zero.
    """
    _check(logits, y, temperature)
    for name, tensor in (("logits_t", logits_t), ("y_t", y_t)):
        alike(name, tensor, logits)
    for name, tensor in (("c", c), ("c_t", c_t)):
        alike(name, tensor, logits, logits.shape[:1])
    if fused(logits):
        return _fused_tangent(c, c_t, logits, logits_t, y, y_t, temperature)
    log_p = F.log_softmax(logits / temperature, 1)
    p = log_p.exp()
    q = (logits_t - (p * logits_t).sum(1, keepdim=True)) / temperature
    total, total_t, c, c_t = y.sum(1, keepdim=True), y_t.sum(1, keepdim=True), c[:, None], c_t[:, None]
    excess, excess_t = total * p - y, total_t * p + total * p * q - y_t
    loss_t = -(y_t * log_p + y * q).sum(1)
    return loss_t, c * excess / temperature, (c_t * excess + c * excess_t) / temperature, -c_t * log_p - c * q


@triton.jit
def _read(base_ptr, rows, n_members, N_CLASSES: tl.constexpr, BLOCK_CLASSES: tl.constexpr):
    """Return rows of a matrix in float32, zero beyond its edge: ``(BLOCK_MEMBERS, BLOCK_CLASSES)``."""
    column = tl.arange(0, BLOCK_CLASSES)
    there = (rows < n_members)[:, None] & (column < N_CLASSES)[None, :]
    return tl.load(base_ptr + rows[:, None] * N_CLASSES + column[None, :], mask=there, other=0.0).to(tl.float32)


@triton.jit
def _write(base_ptr, tile, rows, n_members, N_CLASSES: tl.constexpr, BLOCK_CLASSES: tl.constexpr):
    column = tl.arange(0, BLOCK_CLASSES)
    there = (rows < n_members)[:, None] & (column < N_CLASSES)[None, :]
    tl.store(base_ptr + rows[:, None] * N_CLASSES + column[None, :], tile.to(base_ptr.dtype.element_ty), mask=there)


@triton.jit
def _log_softmax(z, N_CLASSES: tl.constexpr, BLOCK_CLASSES: tl.constexpr):
    """Return log p and p of rows of logits divided by the temperature; both zero beyond the classes."""
    inside = (tl.arange(0, BLOCK_CLASSES) < N_CLASSES)[None, :]
    z = z - tl.max(tl.where(inside, z, float("-inf")), 1)[:, None]
    weights = tl.where(inside, tl.exp(z), 0.0)
    total = tl.sum(weights, 1)[:, None]
    return tl.where(inside, z - tl.log(total), 0.0), weights / total


@triton.jit
def backward_kernel(
    c_ptr,
    z_ptr,
    y_ptr,
    loss_ptr,
    z_c_ptr,
    y_c_ptr,
    n_members,
    temperature,
    N_CLASSES: tl.constexpr,
    BLOCK_MEMBERS: tl.constexpr,
    BLOCK_CLASSES: tl.constexpr,
):
    """Write the losses and the cotangents of logits and labels."""
    rows = tl.program_id(0) * BLOCK_MEMBERS + tl.arange(0, BLOCK_MEMBERS)
    logits = _read(z_ptr, rows, n_members, N_CLASSES, BLOCK_CLASSES)
    log_p, p = _log_softmax(logits / temperature, N_CLASSES, BLOCK_CLASSES)
    target = _read(y_ptr, rows, n_members, N_CLASSES, BLOCK_CLASSES)
    up = tl.load(c_ptr + rows, mask=rows < n_members, other=0.0).to(tl.float32)[:, None]
    tl.store(loss_ptr + rows, (-tl.sum(target * log_p, 1)).to(loss_ptr.dtype.element_ty), mask=rows < n_members)
    excess = tl.sum(target, 1)[:, None] * p - target
    _write(z_c_ptr, up * excess / temperature, rows, n_members, N_CLASSES, BLOCK_CLASSES)
    _write(y_c_ptr, -up * log_p, rows, n_members, N_CLASSES, BLOCK_CLASSES)


@triton.jit
def tangent_kernel(
    c_ptr,
    c_t_ptr,
    z_ptr,
    z_t_ptr,
    y_ptr,
    y_t_ptr,
    loss_t_ptr,
    z_c_ptr,
    z_ct_ptr,
    y_ct_ptr,
    n_members,
    temperature,
    N_CLASSES: tl.constexpr,
    BLOCK_MEMBERS: tl.constexpr,
    BLOCK_CLASSES: tl.constexpr,
):
    """Write the losses' tangents, the cotangents of the logits, their tangents, and those of the labels'."""
    rows = tl.program_id(0) * BLOCK_MEMBERS + tl.arange(0, BLOCK_MEMBERS)
    logits = _read(z_ptr, rows, n_members, N_CLASSES, BLOCK_CLASSES)
    log_p, p = _log_softmax(logits / temperature, N_CLASSES, BLOCK_CLASSES)
    along = _read(z_t_ptr, rows, n_members, N_CLASSES, BLOCK_CLASSES)
    inside = (tl.arange(0, BLOCK_CLASSES) < N_CLASSES)[None, :]
    q = tl.where(inside, (along - tl.sum(p * along, 1)[:, None]) / temperature, 0.0)
    target = _read(y_ptr, rows, n_members, N_CLASSES, BLOCK_CLASSES)
    target_t = _read(y_t_ptr, rows, n_members, N_CLASSES, BLOCK_CLASSES)
    up = tl.load(c_ptr + rows, mask=rows < n_members, other=0.0).to(tl.float32)[:, None]
    up_t = tl.load(c_t_ptr + rows, mask=rows < n_members, other=0.0).to(tl.float32)[:, None]
    total, total_t = tl.sum(target, 1)[:, None], tl.sum(target_t, 1)[:, None]
    excess, excess_t = total * p - target, total_t * p + total * p * q - target_t
    moved = -tl.sum(target_t * log_p + target * q, 1)
    tl.store(loss_t_ptr + rows, moved.to(loss_t_ptr.dtype.element_ty), mask=rows < n_members)
    _write(z_c_ptr, up * excess / temperature, rows, n_members, N_CLASSES, BLOCK_CLASSES)
    _write(z_ct_ptr, (up_t * excess + up * excess_t) / temperature, rows, n_members, N_CLASSES, BLOCK_CLASSES)
    _write(y_ct_ptr, -up_t * log_p - up * q, rows, n_members, N_CLASSES, BLOCK_CLASSES)


def _fused_backward(c: Tensor, z: Tensor, y: Tensor, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
    n, sizes = len(z), constants(z.shape[1])
    c, z, y = (each.contiguous() for each in (c, z, y))
    loss, z_c, y_c = z.new_empty(n), torch.empty_like(z), torch.empty_like(z)
    backward_kernel[(triton.cdiv(n, sizes["BLOCK_MEMBERS"]),)](c, z, y, loss, z_c, y_c, n, temperature, **sizes)
    return loss, z_c, y_c


def _fused_tangent(
    c: Tensor, c_t: Tensor, z: Tensor, z_t: Tensor, y: Tensor, y_t: Tensor, temperature: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    n, sizes = len(z), constants(z.shape[1])
    c, c_t, z, z_t, y, y_t = (each.contiguous() for each in (c, c_t, z, z_t, y, y_t))
    loss_t, (z_c, z_ct, y_ct) = z.new_empty(n), (torch.empty_like(z) for _ in range(3))
    grid = (triton.cdiv(n, sizes["BLOCK_MEMBERS"]),)
    tangent_kernel[grid](c, c_t, z, z_t, y, y_t, loss_t, z_c, z_ct, y_ct, n, temperature, **sizes)
    return loss_t, z_c, z_ct, y_ct


def constants(classes: int) -> dict[str, int]:
    """Return the kernels' constants for this number of classes."""
    block = power_of_two(classes)
    return {
        "N_CLASSES": classes,
        "BLOCK_MEMBERS": max(1, HELD // block),
        "BLOCK_CLASSES": block,
        "num_warps": WARPS,
        **FUSION,
    }


class LossContext(FunctionCtx):
    """The state that autograd keeps between forward and backward."""

    saved_tensors: tuple[Tensor, ...]
    temperature: float


class SoftCrossEntropy(Function):
    """The loss for autograd, with kernels for every derivative up to the second."""

    @staticmethod
    def forward(logits: Tensor, y: Tensor, temperature: float) -> Tensor:
        """Return the losses."""
        return soft_cross_entropy_backward(torch.ones_like(logits[:, 0]), logits, y, temperature)[0]

    @staticmethod
    def setup_context(ctx: LossContext, inputs: tuple[Tensor, Tensor, float], output: Tensor) -> None:
        """Save the inputs."""
        logits, y, ctx.temperature = inputs
        ctx.save_for_backward(logits, y)
        ctx.save_for_forward(logits, y)

    @staticmethod
    def backward(ctx: LossContext, c: Tensor) -> tuple[Tensor | None, ...]:
        """Return the cotangents."""
        return *SoftCrossEntropyBackward.apply(c, *ctx.saved_tensors, ctx.temperature), None

    @staticmethod
    def jvp(ctx: LossContext, logits_t: Tensor, y_t: Tensor, _: None) -> Tensor:
        """Return the losses' tangents."""
        logits, y = ctx.saved_tensors
        c = torch.ones_like(logits[:, 0])
        return soft_cross_entropy_tangent(c, c, logits, logits_t, y, y_t, ctx.temperature)[0]


class SoftCrossEntropyBackward(Function):
    """The backward pass of the loss, which has derivatives of its own."""

    @staticmethod
    def forward(c: Tensor, logits: Tensor, y: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        """Return the cotangents of logits and labels."""
        return soft_cross_entropy_backward(c, logits, y, temperature)[1:]

    @staticmethod
    def setup_context(
        ctx: LossContext, inputs: tuple[Tensor, Tensor, Tensor, float], output: tuple[Tensor, Tensor]
    ) -> None:
        """Save the inputs."""
        c, logits, y, ctx.temperature = inputs
        ctx.save_for_backward(c, logits, y)
        ctx.save_for_forward(c, logits, y)

    @staticmethod
    @once_differentiable
    def backward(ctx: LossContext, logits_t: Tensor, y_t: Tensor) -> tuple[Tensor | None, ...]:
        """Return the derivatives along the cotangents of the cotangents: by symmetry the tangents."""
        c, logits, y = ctx.saved_tensors
        still = torch.zeros_like(c)
        loss_t, _, z_ct, y_ct = soft_cross_entropy_tangent(c, still, logits, logits_t, y, y_t, ctx.temperature)
        return loss_t, z_ct, y_ct, None

    @staticmethod
    def jvp(ctx: LossContext, c_t: Tensor, logits_t: Tensor, y_t: Tensor, _: None) -> tuple[Tensor, Tensor]:
        """Return the tangents of the cotangents."""
        c, logits, y = ctx.saved_tensors
        return soft_cross_entropy_tangent(c, c_t, logits, logits_t, y, y_t, ctx.temperature)[2:]


def _check(logits: Tensor, y: Tensor, temperature: float) -> None:
    if logits.ndim != 2 or not len(logits) or not logits.is_floating_point():
        actual = f"{tuple(logits.shape)} {logits.dtype}"
        raise ValueError(f"logits must be (N, K) floating point, N at least 1, not {actual}")
    alike("y", y, logits)
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, not {temperature}")
