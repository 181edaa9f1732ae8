"""What is asked for: a small set of so many members for a task."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.data import Task
from ddcore.errors import UsageError, require
from ddcore.training import Teacher


@dataclass(frozen=True)
class Problem:
    """A number of members that stand for a training set.

    Attributes:
        task: the data set.
        budget: members in all.
        pool: ``(P,)`` int64, the training members that may be chosen or looked at.
        teacher: for methods and selectors that need one.
        seed: of all draws.
        device: where to compute.
        balanced: every class gets the same number of members.

    Raises:
        UsageError: the budget is larger than the pool, or the classes cannot share it.
    """

    task: Task
    budget: int
    pool: Tensor
    teacher: Teacher | None = None
    seed: int = 0
    device: torch.device = torch.device("cpu")
    balanced: bool = True

    def __post_init__(self) -> None:
        classes, available = len(self.task.classes), len(self.pool)
        require(
            self.budget <= available,
            f"--budget {self.budget} is more than the {available} members of {self.task.name} to choose from",
        )
        if self.balanced and self.budget % classes:
            low = self.budget - self.budget % classes
            near = f"{low} or {low + classes}" if low else f"{classes}"
            raise UsageError(f"--budget {self.budget} cannot be shared evenly by {classes} classes: take {near}")

    def groups(self) -> list[tuple[Tensor, int]]:
        """Return the pool in parts, with how many members to choose from each: ``(members, count)``.

        One part per class, all with the same count, if the problem is balanced; otherwise the pool is one part.

        Raises:
            UsageError: a class has too few members.
        """
        if not self.balanced:
            return [(self.pool, self.budget)]
        y = self.task.train.y[self.pool]
        count = self.budget // len(self.task.classes)
        parts = [(self.pool[y == number], count) for number in range(len(self.task.classes))]
        for (members, _), name in zip(parts, self.task.classes, strict=True):
            require(
                count <= len(members),
                f"--budget {self.budget} asks for {count} members of class '{name}', which has {len(members)}: "
                "take a smaller budget or --no-balanced",
            )
        return parts
