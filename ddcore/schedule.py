"""The training that a set was made for: the very steps of its inner loop, recorded with the set."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ddcore.step import Step
from ddcore.unroll import State, Training, train
from kernels import Rule

STARTS = ("random", "known", "given")


@dataclass(frozen=True)
class Schedule:
    """T optimiser steps on the members of a set.

    Attributes:
        net: name of the network that was unrolled.
        rates: ``(T,)`` float32, the size of each step.
        order: ``(T, B)`` int64, the members of each step.
        rule: the optimiser.
        start: where training begins: ``random`` fresh weights, ``known`` ones that travel with the set, or ``given``,
            trained on something else before.
        weights: ``(P,)`` float32 where they are known, in the order of the network's parameters; else None.
        poison: None, or the class that a trained network is to mistake and the class that it is to see instead.
    """

    net: str
    rates: Tensor
    order: Tensor
    rule: Rule = Rule()
    start: str = "random"
    weights: Tensor | None = None
    poison: tuple[int, int] | None = None

    def record(self) -> dict[str, Any]:
        """Return all that isn't a tensor, as JSON values."""
        return {
            "net": self.net,
            "rule": vars(self.rule),
            "start": self.start,
            "poison": None if self.poison is None else list(self.poison),
        }

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors by name."""
        found = {"rates": self.rates, "order": self.order}
        return found if self.weights is None else {**found, "weights": self.weights}

    @staticmethod
    def of(record: dict[str, Any], tensors: dict[str, Tensor]) -> "Schedule":
        """Return what `record` and `tensors` gave.

        Raises:
            KeyError, TypeError, ValueError: a part is missing or of the wrong kind.
        """
        poison = record["poison"]
        return Schedule(
            record["net"],
            tensors["rates"],
            tensors["order"],
            Rule(**record["rule"]),
            record["start"],
            tensors.get("weights"),
            None if poison is None else (int(poison[0]), int(poison[1])),
        )

    def fault(self, members: int) -> str:
        """Return what contradicts itself, for a set of so many members; empty if nothing does."""
        steps = len(self.rates)
        if self.rates.ndim != 1 or not self.rates.is_floating_point() or not bool(self.rates.isfinite().all()):
            return "step sizes are not a row of finite numbers"
        if self.order.ndim != 2 or len(self.order) != steps or self.order.dtype != torch.int64:
            return f"the order of members is not one row for each of {steps} steps"
        if self.order.numel() and not (int(self.order.min()) >= 0 and int(self.order.max()) < members):
            return f"the order speaks of members outside the {members} there are"
        if self.start not in STARTS or (self.start == "known") != (self.weights is not None):
            return "known weights are missing, or there without need"
        return ""

    def prefix(self, n: int) -> "Schedule":
        """Return the schedule of the first `n` members: steps keep those of theirs that are left."""
        kept = [row[row < n] for row in self.order]
        size = min((len(row) for row in kept if len(row)), default=0)
        steps = [t for t, row in enumerate(kept) if len(row) and size]
        order = torch.stack([kept[t][:size] for t in steps]) if steps else self.order[:0]
        return Schedule(self.net, self.rates[steps], order, self.rule, self.start, self.weights, self.poison)

    def follow(self, step: Step, x: Tensor, y: Tensor, theta: Tensor) -> Tensor:
        """Return the parameters after all steps: ``(P,)``.

        Args:
            step: a network of the kind that `net` names, on the device of the rest.
            x: ``(N, ...)`` float32, the members as the network reads them.
            y: ``(N, C)`` float32, their label probabilities.
            theta: ``(P,)``, where to begin.
        """
        training = Training(step, self.order.to(theta.device), self.rule)
        return train(training, State.fresh(theta, self.rule), x, y, self.rates.to(theta.device)).theta
