"""Random members: what every other way to choose has to beat."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ddcore.data.task import Task
from ddcore.draws import permutation
from ddcore.options import option
from ddcore.runs import Progress
from ddcore.selection.quotas import class_groups
from ddcore.teacher import Teacher


@dataclass(frozen=True)
class RandomChoice:
    """Members drawn at random, without repetition."""

    kinds: ClassVar[tuple[str, ...]] = ("images", "text")
    needs_teacher: ClassVar[bool] = False

    balanced: bool = option(True, "the same number of members from every class")

    def select(
        self,
        task: Task,
        pool: Tensor,
        budget: int,
        teacher: Teacher | None,
        seed: int,
        device: torch.device,
        progress: Progress | None = None,
    ) -> Tensor:
        """Return the chosen members: ``(budget,)`` int64 indices into the training set.

        Raises:
            UsageError: the budget cannot be had from the pool.
        """
        groups = class_groups(task, pool, budget, self.balanced)
        drawn = [members[permutation(len(members), seed, "random", k)[:n]] for k, (members, n) in enumerate(groups)]
        return torch.cat(drawn)
