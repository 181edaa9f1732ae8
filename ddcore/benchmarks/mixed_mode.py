"""The mixed-mode meta-gradient in plain PyTorch, the strongest simple rival of the engine.

Autograd's graph of the unroll holds the states between steps, not the inside of a step: the gradient of each step is
one operation, whose backward pass is a forward derivative of that gradient (forward over reverse).

Source: Kemaev et al. 2025, "Scalable Meta-Learning via Mixed-Mode Differentiation" (MixFlow-MG).
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx
from torch.func import grad, jvp

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


class MixedContext(FunctionCtx):
    """The state that autograd keeps between forward and backward."""

    saved_tensors: tuple[Tensor, ...]
    loss: Loss


class MixedGradient(Function):
    """The gradient in theta of a loss of theta, inputs and labels."""

    @staticmethod
    def forward(ctx: MixedContext, loss: Loss, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Return the gradient ``(P,)``."""
        ctx.loss = loss
        ctx.save_for_backward(theta, x, y)
        slope: Tensor = grad(loss)(theta, x, y)
        return slope

    @staticmethod
    def backward(ctx: MixedContext, along: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """Return the derivatives of ``<g, along>`` in theta, inputs and labels: the Hessian is symmetric."""
        theta, x, y = ctx.saved_tensors
        derivatives = grad(ctx.loss, argnums=(0, 1, 2))
        bent: tuple[Tensor, ...] = jvp(lambda theta: derivatives(theta, x, y), (theta,), (along,))[1]
        return None, *bent


def mixed_mode(
    loss: Loss, theta: Tensor, leaves: tuple[Tensor, Tensor, Tensor], momentum: float, outer: Callable[[Tensor], Tensor]
) -> tuple[Tensor, ...]:
    """Return the gradients of an outer loss in inputs, labels and step sizes.

    Args:
        loss: of one inner step, maps theta ``(P,)``, inputs and labels to ``()``.
        theta: ``(P,)``, the start.
        leaves: inputs ``(N, ...)``, labels ``(N, C)`` and step sizes ``(T,)``, which require gradients.
        momentum: of SGD.
        outer: maps theta ``(P,)`` to ``()``.
    """
    x, y, rates = leaves
    moment = torch.zeros_like(theta)
    for rate in rates:
        moment = momentum * moment + MixedGradient.apply(loss, theta, x, y)
        theta = theta - rate * moment
    return torch.autograd.grad(outer(theta), leaves)
