"""K-center: members such that every other one has a chosen one near it."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ddcore.problem import Problem
from ddcore.runtime import Session
from ddcore.selection.features import Blocks, squares_from
from ddcore.selection.scores import by_class, member_features
from ddcore.selection.selector import Selector


@dataclass(frozen=True)
class KCenter(Selector):
    """Members that leave no other one far from the nearest chosen one, in the teacher's features.

    Source: Sener and Savarese 2018, the greedy algorithm 1. Deviates: the first member is the one nearest to the mean.
    """

    name: ClassVar[str] = "k-center"
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
        return by_class(
            problem, session, lambda k, members, count: spread_out(features.of(members, problem.device), count)
        )


def spread_out(x: Blocks, count: int) -> Tensor:
    """Return rows of `x`, each the farthest from those before it.

    Args:
        x: ``(P, D)`` float32 features.
        count: how many rows, at most P.

    Returns:
        ``(count,)`` int64, all different.
    """
    mean = x.mean()
    chosen = torch.empty(count, dtype=torch.int64, device=mean.device)
    distance = torch.full((len(x),), torch.inf, device=mean.device)
    best = squares_from(x, mean).argmin()
    for k in range(count):
        chosen[k] = best
        distance = torch.minimum(distance, squares_from(x, x[best]))
        # Below zero: a taken row is never taken again, even where many rows are equal.
        distance[best] = -1
        best = distance.argmax()
    return chosen
