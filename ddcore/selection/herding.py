"""Herding: members whose running mean stays closest to the mean of all."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ddcore.problem import Problem
from ddcore.runtime import Session
from ddcore.selection.features import Blocks, products
from ddcore.selection.scores import by_class, member_features
from ddcore.selection.selector import Selector


@dataclass(frozen=True)
class Herding(Selector):
    """Members whose mean in the teacher's features follows the mean of the whole class.

    Source: Welling 2009, in the form of Rebuffi et al. 2017, algorithm 4.
    """

    name: ClassVar[str] = "herding"
    kinds: ClassVar[tuple[str, ...]] = ("images", "text")
    teacher_for: ClassVar[tuple[str, ...]] = ("images",)

    @property
    def seeded(self) -> bool:
        """Whether the choice depends on the problem's seed."""
        return False

    def select(self, problem: Problem, session: Session) -> Tensor:
        """Return the chosen members: ``(budget,)`` int64 indices into the training set. Draws nothing.

        Raises:
            UsageError: images have no teacher with features, or the budget cannot be had from the pool.
        """
        features = member_features(problem, self.name)
        return by_class(problem, session, lambda k, members, count: herd(features.of(members, problem.device), count))


def herd(x: Blocks, count: int) -> Tensor:
    """Return rows of `x` in the order in which herding takes them.

    Args:
        x: ``(P, D)`` float32 features.
        count: how many rows, at most P.

    Returns:
        ``(count,)`` int64, all different.
    """
    mean = x.mean()
    # |mean - (total + x_i) / k|² without its constant part is (|x_i|² + 2 x_i·(total - k mean)) / k².
    square = x.each(lambda rows: rows.square().sum(1))
    total = torch.zeros_like(mean)
    chosen = torch.empty(count, dtype=torch.int64, device=mean.device)
    for k in range(count):
        ahead = total - (k + 1) * mean
        best = (square + 2 * products(x, ahead)).argmin()
        chosen[k] = best
        total = total + x[best]
        square[best] = torch.inf
    return chosen
