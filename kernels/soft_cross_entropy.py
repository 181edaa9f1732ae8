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
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

from ddcore.kernels.choice import alike, fused


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
        from ddcore.kernels import soft_cross_entropy_triton as fast

        return fast.backward(c, logits, y, temperature)
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
        from ddcore.kernels import soft_cross_entropy_triton as fast

        return fast.tangent(c, c_t, logits, logits_t, y, y_t, temperature)
    log_p = F.log_softmax(logits / temperature, 1)
    p = log_p.exp()
    q = (logits_t - (p * logits_t).sum(1, keepdim=True)) / temperature
    total, total_t, c, c_t = y.sum(1, keepdim=True), y_t.sum(1, keepdim=True), c[:, None], c_t[:, None]
    excess, excess_t = total * p - y, total_t * p + total * p * q - y_t
    loss_t = -(y_t * log_p + y * q).sum(1)
    return loss_t, c * excess / temperature, (c_t * excess + c * excess_t) / temperature, -c_t * log_p - c * q


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
