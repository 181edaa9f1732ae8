"""Random members: what every other way to choose has to beat."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ddcore.draws import permutation
from ddcore.problem import Problem
from ddcore.runtime import Session
from ddcore.selection.selector import Selector


@dataclass(frozen=True)
class RandomChoice(Selector):
    """Members drawn at random, without repetition."""

    name: ClassVar[str] = "random"
    kinds: ClassVar[tuple[str, ...]] = ("images", "text")

    def select(self, problem: Problem, session: Session) -> Tensor:
        """Return the chosen members: ``(budget,)`` int64 indices into the training set.

        Raises:
            UsageError: the budget cannot be had from the pool.
        """
        groups = problem.groups()
        drawn = [
            members[permutation(len(members), problem.seed, "random", k)[:n]] for k, (members, n) in enumerate(groups)
        ]
        return torch.cat(drawn)
