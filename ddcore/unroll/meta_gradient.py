"""The inner loop, T optimiser steps on a synthetic set, and the exact gradient of an outer loss through it.

    unroll = Unroll.of(net, images, labels, (real_images, real_labels))
    gradient = meta_gradient(unroll)
    images.grad, labels.grad = gradient.x, gradient.y

The mode ``states`` trains without an autograd graph and stores the optimiser's state of each step. It then walks back.
For plain SGD, ``theta' = theta - eta g(theta, x, y)``, and the cotangent lam of theta', the chain rule gives

    d theta = lam - eta H lam,   d x -= eta d<g, lam> / d x,   d y -= eta d<g, lam> / d y,   d eta = -<g, lam>

so a step needs the network only for the derivatives of the scalar <g, v> along one direction v: `Step.curvature`, one
Hessian-vector product. Momentum and Adam change v and add cotangents of the moments: `ddcore.kernels.unrolled_step`,
which is elementwise. Memory is one to three parameter vectors per step, for any batch size, plus one micro-batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddcore.errors import UsageError, require
from ddcore.kernels import Cotangent, Rows, Rule, advance, retreat
from ddcore.unroll.flat_params import Flat, aligned_rows
from ddcore.unroll.inner_step import Curvature, RealLoss, Step, micro_batch

Augment = Callable[[Tensor, int], Tensor]
Outer = Callable[[Tensor], Tensor]

EXACT = ("states", "graph")
FIRST_ORDER = "first-order"
MODES = (*EXACT, FIRST_ORDER)


@dataclass(frozen=True)
class State:
    """An inner optimiser between two steps.

    Attributes:
        rows: `Rule.rows` vectors ``(P,)``: the parameters theta, then the moments.
        taken: number of steps before it, for Adam's bias correction.
    """

    rows: Rows
    taken: int = 0

    @property
    def theta(self) -> Tensor:
        """The parameters ``(P,)``."""
        return self.rows[0]

    @staticmethod
    def fresh(theta: Tensor, rule: Rule) -> "State":
        """Return the state before the first step: theta ``(P,)`` and moments of zero."""
        return State((theta.detach(), *(torch.zeros_like(theta) for _ in range(rule.rows - 1))))

    @staticmethod
    def restored(rows: Tensor, taken: int) -> "State":
        """Return the state of stacked rows ``(Rule.rows, P)``, each in a tensor of its own.

        Libraries may choose another algorithm where a row begins at another alignment, and a run that goes on shall
        give the same bits.
        """
        return State(tuple(row.clone() for row in rows), taken)


@dataclass(frozen=True)
class Training:
    """T inner steps, without the set and the step sizes.

    Attributes:
        step: the network, its inner loss and the size of micro-batches.
        order: T rows of member indices, int64: the batch of each step.
        rule: the inner optimiser.
        augment: called with the inputs of a step and its number 0 … T-1. It must be differentiable in the inputs and
            give the same result for the same number (keyed draws). It may mix members.
    """

    step: Step
    order: Sequence[Tensor] | Tensor
    rule: Rule = Rule()
    augment: Augment | None = None

    def augmented(self, x: Tensor, t: int) -> Tensor:
        """Return the inputs of step `t` as the network reads them."""
        return x if self.augment is None else self.augment(x, t)


@dataclass(frozen=True)
class Unroll:
    """A training on a synthetic set whose result is judged by an outer loss.

    Attributes:
        training: the network and its T steps.
        start: the optimiser before the first step: `State.fresh` parameters, or the ``end`` of an earlier unroll.
        x: ``(N, ...)`` floating point, the synthetic inputs: images, embeddings, distributions over tokens.
        y: ``(N, C)`` floating point, their labels as the inner loss reads them (probabilities or logits).
        rates: step sizes, ``()`` for one or ``(T,)`` for one per step.
        outer: maps theta ``(P,)`` to a scalar, such as a `RealLoss`; several losses are added up.
        window: differentiate only this many steps at the end (RaT-BPTT); None for all.

    Raises:
        UsageError: the window is longer than the unroll, or labels or step sizes do not fit.
    """

    training: Training
    start: State
    x: Tensor
    y: Tensor
    rates: Tensor
    outer: Outer | Sequence[Outer]
    window: int | None = None

    def __post_init__(self) -> None:
        if self.window is not None and not 1 <= self.window <= self.length:
            raise UsageError(f"the window of {self.window} steps must lie between 1 and the unroll's {self.length}")
        if self.rates.ndim and self.rates.shape != (self.length,):
            shape = tuple(self.rates.shape)
            raise UsageError(f"there are {shape} step sizes for {self.length} steps: give one, or one per step")
        require(self.y.is_floating_point(), "labels of an unroll are probabilities or logits (N, C), not class numbers")

    @staticmethod
    def of(
        net: nn.Module,
        x: Tensor,
        y: Tensor,
        outer: Outer | tuple[Tensor, Tensor],
        *,
        steps: int = 20,
        rate: float = 0.01,
    ) -> "Unroll":
        """Return an unroll from a network's present weights, with plain SGD on all members in each step.

        Args:
            net: any module without batch statistics, on the device of the tensors; it is put into evaluation mode.
            x: ``(N, ...)`` floating point, the synthetic inputs.
            y: ``(N, C)`` floating point, their label probabilities.
            outer: maps theta ``(P,)`` to a scalar, or a pair of real inputs ``(B, ...)`` and their labels, class
                numbers ``(B,)`` int64 or probabilities ``(B, C)``, for the cross-entropy of the trained network.
            steps: T.
            rate: size of each step.

        Raises:
            UsageError: the network has batch statistics, or labels do not fit.
        """
        flat = Flat(net)
        step = Step(flat, micro=micro_batch(flat.device, x.shape[1:]))
        order = torch.arange(len(x), device=x.device).expand(steps, -1)
        rates = torch.full((steps,), rate, dtype=x.dtype, device=x.device)
        if isinstance(outer, tuple):
            real, labels = outer
            soft = labels if labels.is_floating_point() else F.one_hot(labels, y.shape[-1]).to(y.dtype)
            outer = RealLoss(step, real, soft)
        return Unroll(Training(step, order), State.fresh(flat.start(), Rule()), x, y, rates, outer)

    @property
    def length(self) -> int:
        """T, the number of steps."""
        return len(self.training.order)

    @property
    def differentiated(self) -> range:
        """The numbers of the steps in the window."""
        return range(self.length - (self.window or self.length), self.length)

    @property
    def losses(self) -> list[Outer]:
        """The outer losses."""
        return [self.outer] if callable(self.outer) else list(self.outer)

    def rate(self, t: int) -> Tensor:
        """Return the size ``()`` of step `t`."""
        return self.rates[t] if self.rates.ndim else self.rates

    def first(self, steps: int) -> "Unroll":
        """Return the unroll of the first steps, all of them differentiated."""
        training = replace(self.training, order=self.training.order[:steps])
        rates = self.rates[:steps] if self.rates.ndim else self.rates
        return replace(self, training=training, rates=rates, window=None)


@dataclass
class MetaGradient:
    """The outer loss and its derivatives.

    Attributes:
        loss: ``()``, the outer loss after the last step.
        x: of the shape of all inputs.
        y: of the shape of all labels.
        rates: of the shape of the step sizes; zero for steps before the window.
        theta: ``(P,)``, in the parameters before the window.
        end: the optimiser after the last step.
    """

    loss: Tensor
    x: Tensor
    y: Tensor
    rates: Tensor
    theta: Tensor
    end: State


def train(training: Training, start: State, x: Tensor, y: Tensor, rates: Tensor) -> State:
    """Return the optimiser after training on a set, without stored states and derivatives.

    Args:
        training, start, x, y, rates: as in `Unroll`.

    Raises:
        UsageError: labels or step sizes do not fit.
    """
    unroll = Unroll(training, start, x.detach(), y.detach(), rates.detach(), ())
    return _forward(unroll, start, range(unroll.length))


def meta_gradient(unroll: Unroll, mode: str = "states") -> MetaGradient:
    """Return the outer loss of a network trained on a synthetic set, and its derivatives in that set.

    Args:
        unroll: the training and the outer loss.
        mode: ``states`` walks back over stored states. ``graph`` keeps autograd's graph of every step of the window,
            which can be faster for a short window if the network has no second derivatives of its own.
            ``first-order`` holds the weights before each step fixed, as TESLA does: it stores no state, so that its
            memory does not grow with the steps, and it drops what goes through earlier weights. For plain SGD only.

    Returns:
        Exact derivatives, up to rounding, in the first two modes and for any micro-batch.

    Raises:
        UsageError: there are no steps, or ``first-order`` meets another inner optimiser than plain SGD.
        DDCoreError: an operation has no forward derivative.

    Source: Maclaurin, Duvenaud & Adams 2015. Deviates: states are stored, not reversed. Window: Feng et al. 2024.
    First order: Cui et al. 2023.
    """
    require(bool(unroll.length), "an unroll of no steps has no meta-gradient")
    unroll = replace(unroll, x=unroll.x.detach(), y=unroll.y.detach(), rates=unroll.rates.detach())
    begin = _forward(unroll, unroll.start, range(unroll.differentiated.start))
    return {"states": _over_states, "graph": _through_graph, FIRST_ORDER: _with_held_weights}[mode](unroll, begin)


def _over_states(unroll: Unroll, begin: State) -> MetaGradient:
    """Train over the window, store the states, and walk back."""
    training, steps, x, y = unroll.training, unroll.differentiated, unroll.x, unroll.y
    rule = training.rule
    states = aligned_rows(len(steps) + 1, rule.rows, training.step.flat.size, like=x)
    end = _forward(unroll, begin, steps, states)
    loss, lam = _judged(unroll, end.theta)
    d_x, d_y, moved = torch.zeros_like(x), torch.zeros_like(y), x.new_zeros(len(steps))
    adjoints: Rows = (lam, *(torch.zeros_like(lam) for _ in range(rule.rows - 1)))
    for place, t in reversed(list(enumerate(steps))):
        before, after = states[place].unbind(), states[place + 1].unbind()
        cotangent, adjoints = retreat(before, after, adjoints, unroll.rate(t), begin.taken + place, rule)
        bend = _into_members(unroll, t, before[0], cotangent, (d_x, d_y))
        bent = bend.theta
        if rule.weight_decay:
            decayed = cotangent.along if cotangent.scale is None else cotangent.scale * cotangent.along
            bent = bent + rule.weight_decay * decayed
        adjoints = (adjoints[0] + bent, *adjoints[1:])
        if cotangent.moved is not None:
            torch.sum(cotangent.moved, 0, out=moved[place])
        else:
            moved[place] = bend.slope + rule.weight_decay * torch.dot(before[0], cotangent.along)
    return MetaGradient(loss, d_x, d_y, _of_rates(unroll, moved), adjoints[0], end)


def _with_held_weights(unroll: Unroll, begin: State) -> MetaGradient:
    """Train over the window twice: to know the end, and to differentiate each step as if it alone moved the weights."""
    training, steps, rows = unroll.training, unroll.differentiated, begin.rows
    plain = training.rule.rows == 1 and not training.rule.weight_decay
    require(plain, f"the unroll '{FIRST_ORDER}' is for plain gradient descent as the inner optimiser")
    end = _forward(unroll, begin, steps)
    loss, lam = _judged(unroll, end.theta)
    d_x, d_y = torch.zeros_like(unroll.x), torch.zeros_like(unroll.y)
    moved = unroll.x.new_zeros(len(steps))
    for place, t in enumerate(steps):
        direction = Cotangent(lam, -unroll.rate(t), None)
        moved[place] = _into_members(unroll, t, rows[0], direction, (d_x, d_y)).slope
        rows = _forward(unroll, State(rows, begin.taken + place), range(t, t + 1)).rows
    return MetaGradient(loss, d_x, d_y, _of_rates(unroll, moved), lam, end)


def _judged(unroll: Unroll, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum ``()`` of the outer losses and its gradient ``(P,)``."""
    loss, lam = unroll.x.new_zeros(()), torch.zeros_like(theta)
    for outer in unroll.losses:
        slope, value = _outer_gradient(outer, theta)
        lam += slope
        loss += value
    return loss, lam


def _into_members(
    unroll: Unroll, t: int, theta: Tensor, cotangent: Cotangent, into: tuple[Tensor, Tensor]
) -> Curvature:
    """Add the derivatives of ``<g, cotangent>`` in members and labels of step `t` to two tensors; return the others."""
    training, members = unroll.training, unroll.training.order[t]
    with torch.enable_grad():
        batch = unroll.x[members].requires_grad_()
        augmented = training.augmented(batch, t)
    bend = training.step.curvature(theta, cotangent.along, augmented.detach(), unroll.y[members])
    # Curvature is linear in the direction, so SGD's factor -eta is applied to the results.
    d_augmented, d_labels, bent = (
        each if cotangent.scale is None else cotangent.scale * each for each in (bend.x, bend.y, bend.theta)
    )
    (d_batch,) = torch.autograd.grad(augmented, batch, d_augmented) if augmented is not batch else (d_augmented,)
    # A member may stand in a batch twice: index_add_ adds both parts.
    into[0].index_add_(0, members, d_batch)
    into[1].index_add_(0, members, d_labels)
    return replace(bend, theta=bent)


def _of_rates(unroll: Unroll, moved: Tensor) -> Tensor:
    """Return the derivatives in the step sizes, for how far the cotangent moved in each step of the window."""
    steps, d_rates = unroll.differentiated, torch.zeros_like(unroll.rates)
    if unroll.rates.ndim:
        d_rates[steps.start : steps.stop] = -moved
    else:
        d_rates -= moved.sum()
    return d_rates


def _outer_gradient(outer: Outer, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Return an outer loss's gradient ``(P,)`` and value ``()``."""
    if isinstance(outer, RealLoss):
        return outer.with_gradient(theta)
    theta = theta.clone().requires_grad_()
    value = outer(theta)
    (slope,) = torch.autograd.grad(value, theta)
    return slope, value.detach()


def _through_graph(unroll: Unroll, begin: State) -> MetaGradient:
    """Train over the window with autograd's graph of all its steps, and differentiate that."""
    training, step, steps = unroll.training, unroll.training.step, unroll.differentiated
    leaves = [each.clone().requires_grad_() for each in (begin.theta, unroll.x, unroll.y, unroll.rates)]
    theta, x, y, rates = leaves
    unroll = replace(unroll, x=x, y=y, rates=rates)
    state: Rows = (theta, *begin.rows[1:])
    for place, t in enumerate(steps):
        members = training.order[t]
        logits = step.flat(state[0], training.augmented(x[members], t))
        loss = step.loss(logits, y[members]).mean()
        (g,) = torch.autograd.grad(loss, state[0], create_graph=True)
        state = advance(state, g, unroll.rate(t), begin.taken + place, training.rule)
    value = torch.stack([outer(state[0]) for outer in unroll.losses]).sum()
    d_theta, d_x, d_y, d_rates = torch.autograd.grad(value, leaves)
    end = State(tuple(row.detach() for row in state), begin.taken + len(steps))
    return MetaGradient(value.detach(), d_x, d_y, d_rates, d_theta, end)


@torch.no_grad()
def _forward(unroll: Unroll, start: State, steps: range, states: Tensor | None = None) -> State:
    """Take some steps; write the states before, between and after them to `states` ``(steps + 1, rows, P)``."""
    training, rows, taken = unroll.training, start.rows, start.taken
    if states is not None:
        torch.stack(rows, out=states[0])
    for place, t in enumerate(steps):
        members = training.order[t]
        g = training.step.slope(rows[0], training.augmented(unroll.x[members], t), unroll.y[members])
        out = None if states is None else states[place + 1].unbind()
        rows = advance(rows, g, unroll.rate(t), taken + place, training.rule, out)
    return State(rows, taken + len(steps))
