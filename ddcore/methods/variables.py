"""What the methods learn that differentiate through an inner loop: images, labels and step sizes."""

from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ddcore.draws import generator
from ddcore.options import option
from ddcore.problem import Problem
from ddcore.runtime import Session
from ddcore.selection import starting_members
from ddcore.sets import DistilledSet
from ddcore.synthesis import Group
from ddcore.training import Labels, Teacher
from ddcore.unroll import MetaGradient


@dataclass(frozen=True)
class Rates:
    """The learning rates of the outer loop."""

    images: float = option(
        0.05, "learning rate of the images, in standard deviations of a pixel", low=0, flags="image-rate"
    )
    labels: float = option(0.05, "learning rate of the labels, in logits", low=0, flags="label-rate")
    steps: float = option(0.02, "learning rate of the logarithm of a step size", low=0, flags="step-rate")


class Variables:
    """Synthetic images, their labels and the step sizes of the inner loop.

    Attributes:
        x: ``(N, C, H, W)`` float32, normalised.
        y: ``(N,)`` int64, the class that each member stands for; as many of each, class after class in turn.
        soft: ``(N, K)`` float32 logits of the labels where they are soft; otherwise None.
        log_rates: ``(S,)`` float32, logarithms of the step sizes, so that these stay positive.
        chosen: ``(N,)`` int64, the real members that the images start as; None for noise.
        pace: ``(N,)``, the share of the learning rate that a member moves at.

    Args:
        problem: what is asked for.
        session: whose processes may share the choice of real members.
        init: ``noise``, or the selector of the real members that the images start as.
        labels: their kind.
        rates: ``(S,)`` float32, the first step sizes.

    Raises:
        UsageError: there is no such selector, or it lacks its teacher.
    """

    def __init__(self, problem: Problem, session: Session, init: str, labels: Labels, rates: Tensor) -> None:
        task, device = problem.task, problem.device
        self.classes = len(task.classes)
        self.chosen: Tensor | None = None
        if init == "noise":
            y = torch.arange(self.classes).repeat_interleave(torch.tensor(problem.counts))
            self.y = y[in_turn(y)].to(device)
            draws = generator(problem.seed, "noise")
            self.x = torch.randn(problem.budget, *task.shape, generator=draws).to(device)
        else:
            chosen = starting_members(init, problem, session)
            self.chosen = chosen[in_turn(task.train.y[chosen])]
            self.y = task.train.y[self.chosen].to(device)
            self.x = task.inputs(task.train.x[self.chosen]).to(device).clone()
        self.soft: Tensor | None = None
        self.learned = labels.kind == "learned"
        if labels.kind != "hard":
            self.soft = _first_labels(self.chosen, self.y, self.classes, labels.temperature, problem.teacher)
        self.log_rates = rates.to(device).log()
        self.pace = torch.ones(problem.budget, device=device)

    @property
    def targets(self) -> Tensor:
        """Label probabilities ``(N, K)``."""
        return F.one_hot(self.y, self.classes).float() if self.soft is None else self.soft.softmax(1)

    def grow(self, size: int, earlier: DistilledSet | None, pace: float) -> None:
        """Keep the first `size` members, of which those of an earlier set take its images, labels and step size.

        Args:
            size: members to keep.
            earlier: the set of the stage before; None for the first stage.
            pace: the share of the learning rate that its members move at.
        """
        self.x, self.y, self.pace = self.x[:size].clone(), self.y[:size], self.pace[:size].clone()
        self.chosen = None if self.chosen is None else self.chosen[:size]
        self.soft = None if self.soft is None else self.soft[:size].clone()
        if earlier is not None and earlier.schedule is not None:
            count = len(earlier)
            self.x[:count] = earlier.inputs().to(self.x.device)
            if self.soft is not None and earlier.soft is not None:
                self.soft[:count] = earlier.soft.to(self.x.device)
            self.log_rates.fill_(float(earlier.schedule.rates[0].log()))
            self.pace[:count] = pace

    def first(self, size: int) -> "Variables":
        """Return the first `size` members as views: what changes these changes the whole, and the other way round."""
        part = copy(self)
        part.x, part.y, part.pace = self.x[:size], self.y[:size], self.pace[:size]
        part.soft = None if self.soft is None else self.soft[:size]
        part.chosen = None if self.chosen is None else self.chosen[:size]
        return part

    def relabel(self, old: int, new: int) -> None:
        """Give the members of one class the label of another."""
        changed = self.y == old
        self.y = torch.where(changed, new, self.y)
        if self.soft is not None:
            self.soft[changed] = _first_labels(None, self.y[changed], self.classes, 1.0, None)

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that changes, by name."""
        tensors = {"x": self.x, "log_rates": self.log_rates}
        return {**tensors, "soft": self.soft} if self.learned and self.soft is not None else tensors

    def groups(self, rates: Rates, together: bool = False) -> dict[str, Group]:
        """Return the variables with their learning rates; together: as in `Group`, of the images."""
        by_name: dict[str, float | Tensor] = {
            "x": rates.images * self.pace[:, None, None, None],
            "soft": rates.labels * self.pace[:, None],
            "log_rates": rates.steps,
        }
        titles = {"x": "images", "soft": "labels", "log_rates": "step sizes"}
        return {
            titles[name]: Group({name: tensor}, by_name[name], together and name == "x")
            for name, tensor in self.tensors().items()
        }

    def gradients(self, meta: MetaGradient, d_rates: Tensor) -> dict[str, Tensor]:
        """Return gradients of the variables for those of images, label probabilities and (shared) step sizes."""
        gradients = {"x": meta.x, "log_rates": d_rates * self.log_rates.exp()}
        if self.learned and self.soft is not None:
            probabilities = self.soft.softmax(1)
            inner = (meta.y * probabilities).sum(1, keepdim=True)
            gradients["soft"] = probabilities * (meta.y - inner)
        return gradients


def in_turn(y: Tensor) -> Tensor:
    """Return an order of members in which the classes take turns, until a class has no more.

    Args:
        y: ``(N,)`` int64, their classes.

    Returns:
        ``(N,)`` int64 places in `y`; members of a class stay in their order.
    """
    order = y.argsort(stable=True)
    counts = torch.bincount(y)
    turn = torch.arange(len(y)) - (counts.cumsum(0) - counts)[y[order]]
    return order[turn.argsort(stable=True)]


def _first_labels(
    chosen: Tensor | None, y: Tensor, classes: int, temperature: float, teacher: Teacher | None
) -> Tensor:
    """Return the logits of soft labels to begin with: the teacher's, otherwise nearly hard ones."""
    if teacher is not None and chosen is not None:
        logits = teacher.logits[chosen].to(y.device) / temperature
        return logits - logits.mean(1, keepdim=True)
    return F.one_hot(y, classes).float() * 6.0
