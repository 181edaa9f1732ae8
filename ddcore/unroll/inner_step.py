"""The network's part of one inner step: the gradient of the loss, and the derivatives of that gradient."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Protocol, cast

import torch
from torch import Tensor
from torch.func import grad, jvp

from ddcore.errors import DDCoreError
from ddcore.kernels import soft_cross_entropy, soft_cross_entropy_backward, soft_cross_entropy_tangent
from ddcore.unroll.cuda_graphs import Captured, Recorder, Work, graphs_wanted
from ddcore.unroll.flat_params import Flat

Loss = Callable[[Tensor, Tensor], Tensor]
Named = dict[str, Tensor]
Like = tuple[torch.Size, torch.dtype, torch.device]
# Members per micro-batch: as many as fit into a CPU's caches, or fill a GPU with planes of so many pixels.
MICRO = {"cpu": 50, "cuda": 500}
FILLING = 32 * 32
# On a CPU small images go in larger micro-batches: there the operators' overhead weighs more than the caches.
SMALL, MICRO_SMALL = 16 * 16, 200


def micro_batch(device: torch.device, shape: Sequence[int]) -> int | None:
    """Return the members per micro-batch for inputs ``(N, *shape)``; None on a device that has no number of its own.

    It is the same on every CPU, so that the bits of a result do not depend on the machine.
    """
    members = MICRO.get(device.type)
    if members is None:
        return None
    pixels = math.prod(shape[1:])
    if device.type == "cpu" and len(shape) == 3 and pixels <= SMALL:
        return MICRO_SMALL
    return max(1, members * FILLING // max(FILLING, pixels))


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


class OwnDerivatives(Protocol):
    """A network with its own derivatives of a micro-batch's loss; parameters are passed by their names."""

    def slope(self, parameters: Named, x: Tensor, y: Tensor, loss: "WeightedLoss") -> tuple[Named, Tensor]:
        """Return the gradient g by name and the members' losses ``(n,)``."""

    def curvature(
        self, parameters: Named, directions: Named, x: Tensor, y: Tensor, loss: "WeightedLoss"
    ) -> tuple[Tensor, Named, Tensor, Tensor]:
        """Return the parts of `Curvature`, H v by name."""


class Step:
    """The loss of one inner step, the mean over its members, and the derivatives that the walk back needs.

    The network must treat members one by one. Then losses add up over micro-batches, and their size does not change
    the derivatives. A network may bring its own derivatives, see `OwnDerivatives`. Otherwise they come from
    ``jvp(grad)``, which refuses an operation without a forward derivative. (Double backward would treat a backward
    pass that has no derivative of its own as a constant.)

    Args:
        flat: the network.
        loss: maps logits ``(N, C)`` and labels to each member's loss ``(N,)``; differentiable in both.
        micro: members per micro-batch; None for all at once.
        graphs: ``auto``, ``on`` or ``off``: whether a GPU runs the derivatives as CUDA graphs, see `Captured`.

    Raises:
        UsageError: graphs are ``on`` and the network is not on a GPU.
    """

    def __init__(
        self, flat: Flat, loss: Loss = soft_cross_entropy, micro: int | None = None, graphs: str = "auto"
    ) -> None:
        self.flat, self.loss, self.micro = flat, loss, micro
        self._losses: dict[int, tuple[WeightedLoss, Work, Work]] = {}
        self.graphs, self._captures = graphs, graphs_wanted(graphs, flat.device)
        self._recorder = Recorder()

    def gradient(self, theta: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return g ``(P,)`` for members `x` and labels `y`, and the loss ``()``."""
        weighted, slope, _ = self._of(len(x))
        results = [slope(theta, x[part], y[part]) for part in self._parts(len(x))]
        return reduce(Tensor.add_, [g for g, _ in results]), weighted.total(
            torch.cat([losses for _, losses in results])
        )

    def slope(self, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Return g ``(P,)`` alone."""
        _, slope, _ = self._of(len(x))
        return reduce(Tensor.add_, [slope(theta, x[part], y[part])[0] for part in self._parts(len(x))])

    def curvature(self, theta: Tensor, along: Tensor, x: Tensor, y: Tensor) -> Curvature:
        """Return the derivatives of ``<g, along>``, for theta and along ``(P,)``.

        Raises:
            DDCoreError: an operation of the network has no forward derivative.
        """
        _, _, curvature = self._of(len(x))
        parts = self._parts(len(x))
        if len(parts) == 1:
            return Curvature(*self._named_failure(curvature, theta, along, x, y))
        slope, bent = theta.new_zeros(()), torch.zeros_like(theta)
        d_x, d_y = torch.empty_like(x), torch.empty_like(y)
        for part in parts:
            results = self._named_failure(curvature, theta, along, x[part], y[part])
            part_slope, part_bent, d_x[part], d_y[part] = results
            slope += part_slope
            bent += part_bent
        return Curvature(slope, bent, d_x, d_y)

    def _parts(self, n: int) -> list[slice]:
        size = self.micro or n
        return [slice(begin, min(begin + size, n)) for begin in range(0, n, size)]

    def _of(self, n: int) -> tuple["WeightedLoss", Work, Work]:
        """Return the mean loss of a batch of n members, its gradient and its curvature.

        They are cached by n, because the loss holds constant tensors that CUDA graphs read where they are.
        """
        if n not in self._losses:
            weighted = WeightedLoss(self.loss, 1 / n)
            works: list[Work] = [partial(self._grad, weighted), partial(self._jvp_of_grad, weighted)]
            if hasattr(self.flat.net, "curvature"):
                net = cast(OwnDerivatives, self.flat.net)
                works = [partial(self._own_slope, net, weighted), partial(self._own_curvature, net, weighted)]
            if self._captures:
                works = [Captured(work, self.graphs == "on", self._recorder) for work in works]
            self._losses[n] = weighted, works[0], works[1]
        return self._losses[n]

    def _named_failure(self, work: Work, theta: Tensor, along: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        try:
            return work(theta, along, x, y)
        except RuntimeError as error:
            if "forward AD" not in str(error) and "forward mode" not in str(error):
                raise
            raise DDCoreError(
                f"an operation of {type(self.flat.net).__name__} has no forward derivative "
                f"({str(error).splitlines()[0]}): write it with others, or unroll in the mode 'graph'"
            ) from error

    def _grad(self, weighted: "WeightedLoss", theta: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return grad(lambda theta: weighted.with_losses(self.flat(theta, x), y), has_aux=True)(theta)

    def _jvp_of_grad(
        self, weighted: "WeightedLoss", theta: Tensor, along: Tensor, x: Tensor, y: Tensor
    ) -> tuple[Tensor, ...]:
        # The Hessian is symmetric: one tangent of the gradient in (theta, x, y) along v in theta gives H v and the
        # derivatives of <g, v> in x and y.
        derivatives = grad(lambda theta, x, y: weighted(self.flat(theta, x), y), argnums=(0, 1, 2))
        (g, _, _), bent = jvp(lambda theta: derivatives(theta, x, y), (theta,), (along,))[:2]
        return torch.dot(g, along), *bent

    def _own_slope(
        self, net: OwnDerivatives, weighted: "WeightedLoss", theta: Tensor, x: Tensor, y: Tensor
    ) -> tuple[Tensor, Tensor]:
        g, losses = net.slope(self.flat.split(theta), x, y, weighted)
        return self.flat.join(g), losses

    def _own_curvature(
        self, net: OwnDerivatives, weighted: "WeightedLoss", theta: Tensor, along: Tensor, x: Tensor, y: Tensor
    ) -> tuple[Tensor, ...]:
        split = self.flat.split
        slope, bent, d_x, d_y = net.curvature(split(theta), split(along), x, y, weighted)
        return slope, self.flat.join(bent), d_x, d_y


class WeightedLoss:
    """A loss in which every member has the same weight, and its derivatives in the logits.

    Args:
        loss: maps logits ``(N, K)`` and labels to each member's loss ``(N,)``.
        share: weight of a member's loss.
    """

    def __init__(self, loss: Loss, share: float) -> None:
        self.loss, self.share = loss, share
        self._cache: dict[Like, tuple[Tensor, Tensor, Tensor]] = {}

    def __call__(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the loss ``()``."""
        return self.with_losses(logits, y)[0]

    def with_losses(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss ``()`` and the members' losses ``(N,)``."""
        losses = self.loss(logits, y)
        return self.total(losses), losses

    def total(self, losses: Tensor) -> Tensor:
        """Return the loss ``()`` of members with these losses ``(N,)``."""
        return losses.sum() * self.share

    def gradient(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the derivative in the logits, ``(N, K)``, and the members' losses ``(N,)``."""
        if self.loss is soft_cross_entropy:
            c, _, _ = self._constants(logits)
            losses, delta, _ = soft_cross_entropy_backward(c, logits, y)
            return delta, losses
        return grad(lambda logits: self.with_losses(logits, y), has_aux=True)(logits)

    def tangent(self, logits: Tensor, logits_t: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the slope ``()`` along logits_t, the derivative in the logits, its tangent, and that of y's."""
        if self.loss is soft_cross_entropy:
            c, still, y_t = self._constants(logits)
            loss_t, delta, delta_t, y_ct = soft_cross_entropy_tangent(c, still, logits, logits_t, y, y_t)
            return torch.dot(c, loss_t), delta, delta_t, y_ct
        derivatives = grad(self, argnums=(0, 1))
        (delta, _), (delta_t, y_ct) = jvp(lambda z: derivatives(z, y), (logits,), (logits_t,))[:2]
        return (delta * logits_t).sum(), delta, delta_t, y_ct

    def _constants(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the members' shares, zeros like them, and zeros like the logits.

        All are kept: a CUDA graph reads them where they are, and micro-batches can have two sizes.
        """
        like = (logits.shape, logits.dtype, logits.device)
        if like not in self._cache:
            c = torch.full_like(logits[:, 0], self.share)
            self._cache[like] = c, torch.zeros_like(c), torch.zeros_like(logits)
        return self._cache[like]


class RealLoss:
    """The outer loss of a trained network on a batch of real members.

    Args:
        step: computes the loss and its gradient, in micro-batches.
        x: ``(B, ...)``, the members as the network reads them.
        y: ``(B, C)`` floating point, their labels.
    """

    def __init__(self, step: Step, x: Tensor, y: Tensor) -> None:
        self.step, self.x, self.y = step, x, y

    def __call__(self, theta: Tensor) -> Tensor:
        """Return the loss ``()`` of theta ``(P,)``, for autograd."""
        return self.step.loss(self.step.flat(theta, self.x), self.y).mean()

    def with_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient ``(P,)`` and the loss ``()``, without an autograd graph."""
        return self.step.gradient(theta, self.x, self.y)
