"""What the network contributes to one inner step: the loss's gradient, and the derivatives of that gradient."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.func import grad, grad_and_value, jvp
from torch.nn import functional as F

from ddcore.errors import DDCoreError
from ddcore.flat import Flat

Loss = Callable[[Tensor, Tensor], Tensor]


def soft_cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Return each member's cross-entropy ``(N,)``, in nats, for logits and label probabilities ``(N, C)``."""
    return -(y * F.log_softmax(logits, 1)).sum(1)


@dataclass
class Curvature:
    """Derivatives of a step's gradient ``g = d loss / d theta`` along a direction v.

    Attributes:
        slope: ``()``, <g, v>.
        theta: ``(P,)``, H v.
        x: of the inputs' shape, d <g, v> / d x.
        y: of the labels' shape, d <g, v> / d y.
    """

    slope: Tensor
    theta: Tensor
    x: Tensor
    y: Tensor


class Step:
    """The loss of one inner step, mean over its members, and what the walk needs of it.

    The network must treat members one by one; then losses add up over micro-batches and any size of them gives the
    same derivatives. A network may bring its own derivatives, for the *sum* of the losses of a micro-batch: methods
    ``slope(parameters, x, y, loss)``, which returns ``({name: g}, loss)``, and
    ``curvature(parameters, directions, x, y, loss)``, which returns ``(<g, v>, {name: H v}, d_x, d_y)``. Otherwise
    ``jvp(grad)`` finds them, which refuses an operation that it cannot differentiate; double backward would take a
    backward pass that is closed to it for a constant.

    Args:
        flat: the network.
        loss: gives each member's loss ``(N,)`` for logits ``(N, C)`` and labels; differentiable in both.
        micro: members computed at once; None for all.
    """

    def __init__(self, flat: Flat, loss: Loss = soft_cross_entropy, micro: int | None = None) -> None:
        self.flat, self.loss, self.micro = flat, loss, micro
        brings = hasattr(flat.net, "curvature")
        self._slope = self._own_slope if brings else self._total_slope
        self._bend = self._own_curvature if brings else self._jvp_of_grad

    def gradient(self, theta: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return g ``(P,)`` for members `x` and labels `y`, and the loss ``()``."""
        total, value = torch.zeros_like(theta), theta.new_zeros(())
        for part in self._parts(len(x)):
            g, loss = self._slope(theta, x[part], y[part])
            total += g
            value += loss
        return total / len(x), value / len(x)

    def curvature(self, theta: Tensor, along: Tensor, x: Tensor, y: Tensor) -> Curvature:
        """Return the derivatives of ``<g, along>``, for theta and along ``(P,)``.

        Raises:
            DDCoreError: an operation of the network has no forward derivative.
        """
        slope, bent = theta.new_zeros(()), torch.zeros_like(theta)
        d_x, d_y = torch.empty_like(x), torch.empty_like(y)
        for part in self._parts(len(x)):
            try:
                found = self._bend(theta, along, x[part], y[part])
            except RuntimeError as error:
                if "forward AD" not in str(error) and "forward mode" not in str(error):
                    raise
                raise DDCoreError(
                    f"an operation of {type(self.flat.net).__name__} has no forward derivative "
                    f"({str(error).splitlines()[0]}): write it with others, or unroll in the mode 'graph'"
                ) from error
            slope += found[0]
            bent += found[1]
            d_x[part], d_y[part] = found[2], found[3]
        n = len(x)
        return Curvature(slope / n, bent / n, d_x / n, d_y / n)

    def _parts(self, n: int) -> list[slice]:
        size = self.micro or n
        return [slice(begin, min(begin + size, n)) for begin in range(0, n, size)]

    def _total(self, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return self.loss(self.flat(theta, x), y).sum()

    def _total_slope(self, theta: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        found: Any = grad_and_value(self._total)(theta, x, y)
        g, total = found
        return g, total

    def _jvp_of_grad(self, theta: Tensor, along: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        derivatives = grad(self._total, argnums=(0, 1, 2))
        found: Any = jvp(lambda theta: derivatives(theta, x, y), (theta,), (along,))
        (g, _, _), bent = found
        return torch.dot(g, along), *bent

    def _own_slope(self, theta: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        net = cast(Any, self.flat.net)
        found, total = net.slope(self.flat.split(theta), x, y, self.loss)
        return self.flat.join(found), total

    def _own_curvature(self, theta: Tensor, along: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        split, net = self.flat.split, cast(Any, self.flat.net)
        slope, bent, d_x, d_y = net.curvature(split(theta), split(along), x, y, self.loss)
        return slope, self.flat.join(bent), d_x, d_y


class RealLoss:
    """An outer loss: that of a network with the trained parameters on a batch of real members.

    Args:
        step: gives the loss and its gradient, in its micro-batches.
        x: ``(B, ...)``, the members as the network reads them.
        y: ``(B, C)`` float32, their labels.
    """

    def __init__(self, step: Step, x: Tensor, y: Tensor) -> None:
        self.step, self.x, self.y = step, x, y

    def __call__(self, theta: Tensor) -> Tensor:
        """Return the loss ``()`` of theta ``(P,)``, for autograd."""
        return self.step.loss(self.step.flat(theta, self.x), self.y).mean()

    def with_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient ``(P,)`` and the loss ``()``, without autograd's graph in between."""
        return self.step.gradient(theta, self.x, self.y)
