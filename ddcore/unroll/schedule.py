"""The training that a set was optimised for: the steps of its inner loop, saved with the set."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ddcore.kernels import Rule
from ddcore.runtime import JSONObject
from ddcore.unroll.inner_step import Step
from ddcore.unroll.meta_gradient import State, Training, train

OPTIMISERS = ("sgd", "adam")
# The weights that training starts from, and their description.
STARTS = {"random": "fresh weights", "known": "the set's own weights", "given": "networks trained before"}
# A longer schedule is refused: more steps, or more members in all steps together.
MOST_STEPS, MOST_PLACES = 10**6, 10**8


@dataclass(frozen=True)
class Schedule:
    """T optimiser steps on the members of a set.

    Attributes:
        net: name of the network that was unrolled.
        rates: ``(T,)`` float32, the size of each step.
        order: ``(T, B)`` int64, the members of each step.
        rule: the optimiser.
        start: the start weights: ``random`` fresh ones, ``known`` ones that are saved with the set, or ``given``,
            trained on other data before.
        weights: ``(P,)`` float32 if they are known, in the order of the network's parameters; otherwise None.
        poison: the class that a trained network is made to mistake and the class that it predicts instead, or None.
    """

    net: str
    rates: Tensor
    order: Tensor
    rule: Rule = Rule()
    start: str = "random"
    weights: Tensor | None = None
    poison: tuple[int, int] | None = None

    def record(self) -> JSONObject:
        """Return the fields that are not tensors, as JSON values."""
        return {
            "net": self.net,
            "rule": vars(self.rule),
            "start": self.start,
            "poison": None if self.poison is None else list(self.poison),
        }

    def __str__(self) -> str:
        return f"{len(self.rates)} step{'s' * (len(self.rates) != 1)} from {STARTS[self.start]}"

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors by name."""
        tensors = {"rates": self.rates, "order": self.order}
        return tensors if self.weights is None else {**tensors, "weights": self.weights}

    @staticmethod
    def of(record: JSONObject, tensors: dict[str, Tensor]) -> "Schedule":
        """Return the schedule of which `record` and `tensors` are the parts.

        Raises:
            KeyError, TypeError, ValueError: a part is missing or of the wrong kind.
        """
        rule: JSONObject = {
            name: value if name == "optimiser" else float(value) for name, value in dict(record["rule"]).items()
        }
        first, second = (None, None) if record["poison"] is None else map(int, record["poison"])
        return Schedule(
            str(record["net"]),
            tensors["rates"],
            tensors["order"],
            Rule(**rule),
            str(record["start"]),
            tensors.get("weights"),
            None if first is None or second is None else (first, second),
        )

    def fault(self, members: int, classes: int) -> str:
        """Return the first contradiction in the schedule of a set of this size, or an empty text."""
        steps = len(self.rates) if self.rates.ndim else 0
        # Before anything is read: the file may be a sparse one.
        if steps > MOST_STEPS or self.order.numel() > MOST_PLACES:
            return f"{steps:,} steps with {self.order.numel():,} members are more than anyone can train for"
        if self.rates.ndim != 1 or not self.rates.is_floating_point() or not bool(self.rates.isfinite().all()):
            return "step sizes are not a vector of finite numbers"
        if self.order.ndim != 2 or len(self.order) != steps or self.order.dtype != torch.int64:
            return f"the order of members does not have one row for each of {steps} steps"
        if steps and not self.order.shape[1]:
            return "the steps have no members"
        if steps and not (int(self.order.min()) >= 0 and int(self.order.max()) < members):
            return f"the order has members outside the {members} of the set"
        if self.rule.optimiser not in OPTIMISERS:
            return f"the optimiser '{self.rule.optimiser}' is unknown"
        if self.start not in STARTS:
            return f"the start '{self.start}' is unknown"
        if (self.start == "known") != (self.weights is not None):
            return "known weights are missing, or present for another start"
        weights = self.weights
        if weights is not None and not (
            weights.ndim == 1 and weights.is_floating_point() and bool(weights.isfinite().all())
        ):
            return "known weights are not a vector of finite numbers"
        if self.poison is not None and (len({*self.poison}) < 2 or not {*self.poison} <= {*range(classes)}):
            return f"the poisoned classes are not two of the {classes} classes"
        return ""

    def for_members(self, members: Tensor) -> "Schedule":
        """Return the schedule of some members ``(n,)`` int64, renumbered from 0.

        Steps without any of them are dropped. If the other steps have unequal numbers of members, the smaller ones
        repeat theirs until all have the same number, so that no member is lost.
        """
        places = torch.full((int(torch.cat([self.order.flatten(), members]).max()) + 1,), -1)
        places[members] = torch.arange(len(members))
        batches = [places[row][places[row] >= 0] for row in self.order]
        steps = [t for t, batch in enumerate(batches) if len(batch)]
        size = max((len(batches[t]) for t in steps), default=0)
        rows = [batches[t][torch.arange(size) % len(batches[t])] for t in steps]
        return replace(self, rates=self.rates[steps], order=torch.stack(rows) if rows else self.order[:0])

    def follow(self, step: Step, x: Tensor, y: Tensor, theta: Tensor) -> Tensor:
        """Return the parameters after all steps: ``(P,)``.

        Args:
            step: a network of the kind that `net` names, on the device of the other arguments.
            x: ``(N, ...)`` float32, the members as the network reads them.
            y: ``(N, C)`` float32, their label probabilities.
            theta: ``(P,)``, the start weights.
        """
        training = Training(step, self.order.to(theta.device), self.rule)
        return train(training, State.fresh(theta, self.rule), x, y, self.rates.to(theta.device)).theta
