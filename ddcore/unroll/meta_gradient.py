"""The inner loop: T optimiser steps on the synthetic set, and the exact gradient of what comes of them.

Training runs without an autograd graph and keeps the optimiser's state of each step. The walk back needs, for each
step, one Hessian-vector product and elementwise work on the parameter vector (`kernels.unrolled_step`). Memory is
one or a few parameter vectors a step, whatever the batch, plus the working set of one micro-batch of one step.

    flat = Flat(net)
    training = Training(Step(flat), order)
    found = meta_gradient(
        training, State.fresh(flat.start(), training.rule), images, labels, rates,
        outer=lambda theta: F.cross_entropy(flat(theta, real), real_y),
    )
    images.grad, labels.grad = found.x, found.y
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ddcore.errors import DDCoreError, UsageError
from ddcore.runtime import available, peak, seconds_of
from ddcore.unroll.inner_step import RealLoss, Step
from kernels import Rows, Rule, advance, retreat

Augment = Callable[[Tensor, int], Tensor]
Outer = Callable[[Tensor], Tensor]

MODES = ("states", "graph")
TRIES = 2
# The longer of the two unrolls of an estimate: a graph's memory grows by leaps.
LONG = {"states": 3, "graph": 8}


@dataclass(frozen=True)
class State:
    """An inner optimiser between two steps.

    Attributes:
        rows: `Rule.rows` vectors ``(P,)``: the parameters theta, then the moments.
        taken: steps behind it, for Adam's bias correction.
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


@dataclass(frozen=True)
class Training:
    """T inner steps, apart from the set and the step sizes.

    Attributes:
        step: the network, its inner loss and the size of micro-batches.
        order: T rows of member numbers, int64: what each step trains on.
        rule: the inner optimiser.
        augment: called with the inputs of a step and its number 0 … T-1; differentiable in the inputs, and for the
            same number always the same (keyed draws). Its result may mix members.
    """

    step: Step
    order: Sequence[Tensor] | Tensor
    rule: Rule = Rule()
    augment: Augment | None = None

    def shown(self, given: Tensor, t: int) -> Tensor:
        """Return the inputs of step `t` as the network sees them."""
        return given if self.augment is None else self.augment(given, t)


@dataclass
class MetaGradient:
    """The outer loss and its derivatives.

    Attributes:
        loss: ``()``, the outer loss after the last step.
        x: of the shape of all inputs.
        y: of the shape of all labels.
        rates: of the shape of the rates; zero for steps before the window.
        theta: ``(P,)``, in the parameters that the window began with.
        end: the optimiser after the last step.
    """

    loss: Tensor
    x: Tensor
    y: Tensor
    rates: Tensor
    theta: Tensor
    end: State


def train(training: Training, start: State, x: Tensor, y: Tensor, rates: Tensor) -> State:
    """Return the optimiser after training on the set; nothing is stored and nothing is derived.

    The arguments are those of `meta_gradient`.
    """
    return _forward(training, start, x.detach(), y.detach(), rates.detach(), range(len(training.order)))


def meta_gradient(
    training: Training,
    start: State,
    x: Tensor,
    y: Tensor,
    rates: Tensor,
    outer: Outer | Sequence[Outer],
    *,
    window: int | None = None,
    mode: str = "states",
) -> MetaGradient:
    """Train a network on a synthetic set and differentiate an outer loss of its final parameters.

    Args:
        training: the network and its T steps.
        start: the optimiser to begin with: `State.fresh` parameters, or an earlier ``end``.
        x: ``(N, ...)`` floating point, the synthetic inputs: images, embeddings, distributions over tokens.
        y: ``(N, C)`` floating point, their labels as the inner loss reads them (probabilities, logits).
        rates: step sizes, ``()`` for one or ``(T,)`` for one a step.
        outer: from theta ``(P,)`` to a scalar, such as a `RealLoss`; several are added up, one after another.
        window: differentiate only the last so many steps (RaT-BPTT); None for all.
        mode: ``states`` walks back over stored states; ``graph`` keeps autograd's graph of every step of the
            window, which can be quicker for a short window where the network has no second derivatives of its own.

    Returns:
        The loss and its derivatives; exact up to rounding in both modes and for any micro-batch.

    Raises:
        UsageError: the window is longer than the unroll, or labels or rates do not fit.
        DDCoreError: an operation has no forward derivative.

    Source: Maclaurin, Duvenaud & Adams 2015, with stored instead of reversed states; truncation: Feng et al. 2024.
    """
    length = len(training.order)
    window = length if window is None else window
    if not 1 <= window <= length:
        raise UsageError(f"the window of {window} steps must lie between 1 and the unroll's {length}")
    if rates.ndim and rates.shape != (length,):
        raise UsageError(f"there are {tuple(rates.shape)} step sizes for {length} steps: give one, or one a step")
    if not y.is_floating_point():
        raise UsageError("labels of an unroll are probabilities or logits (N, C), not class numbers")
    losses = [outer] if callable(outer) else list(outer)
    x, y, rates = x.detach(), y.detach(), rates.detach()
    first = length - window
    begin = _forward(training, start, x, y, rates, range(first))
    derive = _over_states if mode == "states" else _through_graph
    return derive(training, begin, x, y, rates, losses, range(first, length))


def _over_states(
    training: Training, begin: State, x: Tensor, y: Tensor, rates: Tensor, losses: list[Outer], steps: range
) -> MetaGradient:
    """Train over the window, keep the states, and walk back."""
    step, rule = training.step, training.rule
    stored = torch.empty(len(steps) + 1, rule.rows, step.flat.size, dtype=x.dtype, device=x.device)
    end = _forward(training, begin, x, y, rates, steps, stored)
    loss, lam = x.new_zeros(()), torch.zeros_like(end.theta)
    for one in losses:
        slope, value = _outer_gradient(one, end.theta)
        lam += slope
        loss += value
    d_x, d_y, moved = torch.zeros_like(x), torch.zeros_like(y), x.new_zeros(len(steps))
    adjoints: Rows = (lam, *(torch.zeros_like(lam) for _ in range(rule.rows - 1)))
    for place, t in reversed(list(enumerate(steps))):
        before, after = stored[place].unbind(), stored[place + 1].unbind()
        rate = rates[t] if rates.ndim else rates
        asked, adjoints = retreat(before, after, adjoints, rate, begin.taken + place, rule)
        members = training.order[t]
        with torch.enable_grad():
            given = x[members].requires_grad_()
            shown = training.shown(given, t)
        found = step.curvature(before[0], asked.along, shown.detach(), y[members])
        d_shown, d_labels, bent = (
            each if asked.scale is None else asked.scale * each for each in (found.x, found.y, found.theta)
        )
        (d_given,) = torch.autograd.grad(shown, given, d_shown) if shown is not given else (d_shown,)
        d_x.index_add_(0, members, d_given)
        d_y.index_add_(0, members, d_labels)
        if rule.weight_decay:
            decayed = asked.along if asked.scale is None else asked.scale * asked.along
            bent = bent + rule.weight_decay * decayed
        adjoints = (adjoints[0] + bent, *adjoints[1:])
        if asked.moved is not None:
            torch.sum(asked.moved, 0, out=moved[place])
        else:
            moved[place] = found.slope + rule.weight_decay * torch.dot(before[0], asked.along)
    d_rates = torch.zeros_like(rates)
    if rates.ndim:
        d_rates[steps.start : steps.stop] = -moved
    else:
        d_rates -= moved.sum()
    return MetaGradient(loss, d_x, d_y, d_rates, adjoints[0], end)


def _outer_gradient(outer: Outer, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Return an outer loss's gradient ``(P,)`` and value ``()``."""
    if isinstance(outer, RealLoss):
        return outer.with_gradient(theta)
    theta = theta.clone().requires_grad_()
    value = outer(theta)
    (slope,) = torch.autograd.grad(value, theta)
    return slope, value.detach()


def _through_graph(
    training: Training, begin: State, x: Tensor, y: Tensor, rates: Tensor, losses: list[Outer], steps: range
) -> MetaGradient:
    """Train over the window the plain way: autograd keeps the graph of all its steps."""
    step = training.step
    leaves = [each.clone().requires_grad_() for each in (begin.theta, x, y, rates)]
    theta, x, y, rates = leaves
    state: Rows = (theta, *begin.rows[1:])
    for place, t in enumerate(steps):
        members = training.order[t]
        logits = step.flat(state[0], training.shown(x[members], t))
        loss = step.loss(logits, y[members]).mean()
        (g,) = torch.autograd.grad(loss, state[0], create_graph=True)
        state = advance(state, g, rates[t] if rates.ndim else rates, begin.taken + place, training.rule)
    value = torch.stack([one(state[0]) for one in losses]).sum()
    d_theta, d_x, d_y, d_rates = torch.autograd.grad(value, leaves)
    end = State(tuple(row.detach() for row in state), begin.taken + len(steps))
    return MetaGradient(value.detach(), d_x, d_y, d_rates, d_theta, end)


@torch.no_grad()
def _forward(
    training: Training, start: State, x: Tensor, y: Tensor, rates: Tensor, steps: range, stored: Tensor | None = None
) -> State:
    """Take some of the steps; keep the states in `stored`, the one before the first step included."""
    rows, taken = start.rows, start.taken
    if stored is not None:
        torch.stack(rows, out=stored[0])
    for place, t in enumerate(steps):
        members = training.order[t]
        g = training.step.slope(rows[0], training.shown(x[members], t), y[members])
        out = None if stored is None else stored[place + 1].unbind()
        rows = advance(rows, g, rates[t] if rates.ndim else rates, taken + place, training.rule, out)
    return State(rows, taken + len(steps))


@dataclass(frozen=True)
class Estimate:
    """What a meta-gradient will cost.

    Attributes:
        mode: ``states`` or ``graph``.
        bytes: peak memory above the level before.
        seconds: wall time, compilation apart.
    """

    mode: str
    bytes: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.mode}: {self.bytes / 2**20:,.0f} MB, {self.seconds:.2f} s a meta-gradient"


def estimate(
    training: Training,
    start: State,
    x: Tensor,
    y: Tensor,
    rates: Tensor,
    outer: Outer | Sequence[Outer],
    *,
    window: int | None = None,
    mode: str = "states",
) -> Estimate:
    """Return what `meta_gradient` with these arguments will take, from unrolls of one and of a few steps.

    Bytes and seconds grow linearly with the steps of the window; steps before it cost their gradient only.
    """
    length = len(training.order)
    window = length if window is None else window
    long = min(LONG[mode], length)

    def cut(steps: int) -> tuple[Training, Tensor]:
        return replace(training, order=training.order[:steps]), rates[:steps] if rates.ndim else rates

    def cost(steps: int) -> tuple[int, float]:
        few, their_rates = cut(steps)

        def run() -> None:
            meta_gradient(few, start, x, y, their_rates, outer, mode=mode)

        with peak(x.device) as held:
            run()
        # Measuring memory hands the allocator's back to the system, and the next call pays for it anew.
        run()
        return held.bytes, min(seconds_of(run, x.device) for _ in range(TRIES))

    cost(1)
    bytes_one, seconds_one = cost(1)
    bytes_long, seconds_long = cost(long)
    more = max(1, long - 1)
    state = training.rule.rows * training.step.flat.size * x.element_size()
    each_bytes = state if mode == "states" else max(0, bytes_long - bytes_one) / more
    each_seconds = max(0.0, seconds_long - seconds_one) / more
    few, their_rates = cut(long)
    before = seconds_of(lambda: train(few, start, x, y, their_rates), x.device) / long * (length - window)
    seconds = seconds_one + each_seconds * (window - 1) + before
    return Estimate(mode, int(bytes_one + each_bytes * (window - 1)), seconds)


def choose(
    training: Training,
    start: State,
    x: Tensor,
    y: Tensor,
    rates: Tensor,
    outer: Outer | Sequence[Outer],
    *,
    window: int | None = None,
    modes: Sequence[str] = MODES,
) -> Estimate:
    """Return the estimate of the quickest of the modes that fits into the memory there is.

    Raises:
        DDCoreError: none fits.
    """
    room = available(x.device)
    found = [estimate(training, start, x, y, rates, outer, window=window, mode=mode) for mode in modes]
    fitting = [one for one in found if one.bytes < room]
    if not fitting:
        least = min(found, key=lambda one: one.bytes)
        raise DDCoreError(
            f"the unroll needs {least.bytes / 2**30:.1f} GB in the mode '{least.mode}', {room / 2**30:.1f} GB are "
            "free: shorten the window, or take a smaller batch or network"
        )
    return min(fitting, key=lambda one: one.seconds)
