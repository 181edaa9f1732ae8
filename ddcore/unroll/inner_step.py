"""What the network contributes to one inner step: the loss's gradient, and the derivatives of that gradient."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor
from torch.func import grad, jvp

from ddcore.errors import DDCoreError
from ddcore.unroll.cuda_graphs import Captured, graphs_wanted
from ddcore.unroll.flat_params import Flat
from kernels import soft_cross_entropy, soft_cross_entropy_backward, soft_cross_entropy_tangent

Loss = Callable[[Tensor, Tensor], Tensor]
# Members computed at once: what fits a CPU's caches, and a GPU.
MICRO = {"cpu": 50, "cuda": 500}


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
    same derivatives. A network may bring its own derivatives of a micro-batch's loss: methods
    ``slope(parameters, x, y, loss)``, which returns ``({name: g}, losses)``, and
    ``curvature(parameters, directions, x, y, loss)``, which returns ``(<g, v>, {name: H v}, d_x, d_y)``, with the
    loss's own derivatives as a `WeightedLoss`. Otherwise
    ``jvp(grad)`` finds them, which refuses an operation that it cannot differentiate; double backward would take a
    backward pass that is closed to it for a constant.

    Args:
        flat: the network.
        loss: gives each member's loss ``(N,)`` for logits ``(N, C)`` and labels; differentiable in both.
        micro: members computed at once; None for all.
        graphs: ``auto``, ``on`` or ``off``: whether a GPU runs the derivatives as CUDA graphs, see `Captured`.

    Raises:
        UsageError: graphs are ``on`` and the network is on no GPU.
    """

    def __init__(
        self, flat: Flat, loss: Loss = soft_cross_entropy, micro: int | None = None, graphs: str = "auto"
    ) -> None:
        self.flat, self.loss, self.micro = flat, loss, micro
        self._losses: dict[int, tuple[WeightedLoss, Any, Any]] = {}
        brings = hasattr(flat.net, "curvature")
        self._slope = self._own_slope if brings else self._general_slope
        self._bend = self._own_curvature if brings else self._jvp_of_grad
        self.graphs, self._captures = graphs, graphs_wanted(graphs, flat.device)

    def gradient(self, theta: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return g ``(P,)`` for members `x` and labels `y`, and the loss ``()``."""
        weighted, slope, _ = self._of(len(x))
        found = [slope(theta, x[part], y[part]) for part in self._parts(len(x))]
        return _added([g for g, _ in found]), weighted.total(torch.cat([losses for _, losses in found]))

    def slope(self, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Return g ``(P,)`` alone."""
        _, slope, _ = self._of(len(x))
        return _added([slope(theta, x[part], y[part])[0] for part in self._parts(len(x))])

    def curvature(self, theta: Tensor, along: Tensor, x: Tensor, y: Tensor) -> Curvature:
        """Return the derivatives of ``<g, along>``, for theta and along ``(P,)``.

        Raises:
            DDCoreError: an operation of the network has no forward derivative.
        """
        _, _, bend = self._of(len(x))
        parts = self._parts(len(x))
        if len(parts) == 1:
            return Curvature(*self._bent(bend, theta, along, x, y))
        slope, bent = theta.new_zeros(()), torch.zeros_like(theta)
        d_x, d_y = torch.empty_like(x), torch.empty_like(y)
        for part in parts:
            part_slope, part_bent, d_x[part], d_y[part] = self._bent(bend, theta, along, x[part], y[part])
            slope += part_slope
            bent += part_bent
        return Curvature(slope, bent, d_x, d_y)

    def _parts(self, n: int) -> list[slice]:
        size = self.micro or n
        return [slice(begin, min(begin + size, n)) for begin in range(0, n, size)]

    def _of(self, n: int) -> tuple["WeightedLoss", Any, Any]:
        """Return the loss of a batch of n, a mean, and its derivatives; kept, because so are constants and graphs."""
        if n not in self._losses:
            weighted = WeightedLoss(self.loss, 1 / n)
            works: list[Any] = [partial(each, weighted) for each in (self._slope, self._bend)]
            if self._captures:
                works = [Captured(work, must=self.graphs == "on") for work in works]
            self._losses[n] = weighted, works[0], works[1]
        return self._losses[n]

    def _bent(self, bend: Any, *given: Tensor) -> tuple[Tensor, ...]:
        try:
            found: tuple[Tensor, ...] = bend(*given)
        except RuntimeError as error:
            if "forward AD" not in str(error) and "forward mode" not in str(error):
                raise
            raise DDCoreError(
                f"an operation of {type(self.flat.net).__name__} has no forward derivative "
                f"({str(error).splitlines()[0]}): write it with others, or unroll in the mode 'graph'"
            ) from error
        return found

    def _general_slope(self, weighted: "WeightedLoss", theta: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        def total(theta: Tensor) -> tuple[Tensor, Tensor]:
            losses = self.loss(self.flat(theta, x), y)
            return weighted.total(losses), losses

        found: Any = grad(total, has_aux=True)(theta)
        g, losses = found
        return g, losses

    def _jvp_of_grad(
        self, weighted: "WeightedLoss", theta: Tensor, along: Tensor, x: Tensor, y: Tensor
    ) -> tuple[Tensor, ...]:
        derivatives = grad(lambda theta, x, y: weighted(self.flat(theta, x), y), argnums=(0, 1, 2))
        found: Any = jvp(lambda theta: derivatives(theta, x, y), (theta,), (along,))
        (g, _, _), bent = found
        return torch.dot(g, along), *bent

    def _own_slope(self, weighted: "WeightedLoss", theta: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        net = cast(Any, self.flat.net)
        found, losses = net.slope(self.flat.split(theta), x, y, weighted)
        return self.flat.join(found), losses

    def _own_curvature(
        self, weighted: "WeightedLoss", theta: Tensor, along: Tensor, x: Tensor, y: Tensor
    ) -> tuple[Tensor, ...]:
        split, net = self.flat.split, cast(Any, self.flat.net)
        slope, bent, d_x, d_y = net.curvature(split(theta), split(along), x, y, weighted)
        return slope, self.flat.join(bent), d_x, d_y


def _added(parts: list[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total += part
    return total


class WeightedLoss:
    """A loss of which every member counts the same share, and its derivatives at the logits.

    Args:
        loss: gives each member's loss ``(N,)`` for logits ``(N, K)`` and labels.
        share: what a member's loss is multiplied with.
    """

    def __init__(self, loss: Loss, share: float) -> None:
        self.loss, self.share = loss, share
        self._kept: tuple[Tensor, Tensor, Tensor] | None = None

    def __call__(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the loss ``()``."""
        return self.total(self.loss(logits, y))

    def total(self, losses: Tensor) -> Tensor:
        """Return the loss ``()`` of members with these losses ``(N,)``."""
        return losses.sum() * self.share

    def gradient(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the derivative in the logits, ``(N, K)``, and the members' losses ``(N,)``."""
        if self.loss is soft_cross_entropy:
            c, _, _ = self._constants(logits)
            losses, delta, _ = soft_cross_entropy_backward(c, logits, y)
            return delta, losses

        def total(logits: Tensor) -> tuple[Tensor, Tensor]:
            losses = self.loss(logits, y)
            return self.total(losses), losses

        found: Any = grad(total, has_aux=True)(logits)
        delta, losses = found
        return delta, losses

    def tangent(self, logits: Tensor, logits_t: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the slope ``()`` along logits_t, the derivative in the logits, its tangent, and that of y's."""
        if self.loss is soft_cross_entropy:
            c, still, y_t = self._constants(logits)
            loss_t, delta, delta_t, y_ct = soft_cross_entropy_tangent(c, still, logits, logits_t, y, y_t)
            return torch.dot(c, loss_t), delta, delta_t, y_ct
        derivatives = grad(self, argnums=(0, 1))
        found: Any = jvp(lambda z: derivatives(z, y), (logits,), (logits_t,))
        (delta, _), (delta_t, y_ct) = found
        return (delta * logits_t).sum(), delta, delta_t, y_ct

    def _constants(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the members' shares, zeros like them, and zeros like the logits."""
        kept, like = self._kept, (logits.shape, logits.dtype, logits.device)
        if kept is None or (kept[2].shape, kept[2].dtype, kept[2].device) != like:
            c = torch.full_like(logits[:, 0], self.share)
            kept = self._kept = c, torch.zeros_like(c), torch.zeros_like(logits)
        return kept


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
