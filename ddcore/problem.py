"""What is asked for: a small set of so many members for a task."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ddcore.data import Task
from ddcore.errors import UsageError, require
from ddcore.training import Teacher

PROPORTIONS = ("balanced", "data")
"""How classes share a budget: in equal numbers, or in the proportions of the data."""
PROPORTIONS_HELP = "of the classes: the same number of members of each, or shares as in the data"
PROPORTIONS_FLAGS = "proportions balanced=balanced no-balanced=data"
"""The name of the option, and the switches that it had in the version before."""


@dataclass(frozen=True)
class Problem:
    """A number of members that stand for a training set.

    Attributes:
        task: the data set.
        budget: members in all, decoded ones where images are stored several to a slot.
        pool: ``(P,)`` int64, the training members that may be chosen or looked at.
        teacher: for methods and selectors that need one.
        seed: of all draws.
        device: where to compute.
        proportions: of the classes in the set, one of `PROPORTIONS`.
        tiles: members that are decoded from each stored image (multi-formation). Each class has whole stored images;
            messages count these, because ``--budget`` does.

    Raises:
        UsageError: the budget is larger than the pool, or the classes cannot share it.
    """

    task: Task
    budget: int
    pool: Tensor
    teacher: Teacher | None = None
    seed: int = 0
    device: torch.device = torch.device("cpu")
    proportions: str = "balanced"
    tiles: int = 1

    def __post_init__(self) -> None:
        classes, available, budget = len(self.task.classes), len(self.pool), self.budget // self.tiles
        each = f", {self.tiles} for each stored image" if self.tiles > 1 else ""
        require(
            self.budget <= available,
            f"--budget {budget} is more than the {available} members of {self.task.name} to choose from{each}",
        )
        if self.proportions == "balanced" and budget % classes:
            low = budget - budget % classes
            near = f"{low} or {low + classes}" if low else f"{classes}"
            raise UsageError(f"--budget {budget} cannot be shared evenly by {classes} classes: take {near}")

    @cached_property
    def counts(self) -> list[int]:
        """Members of each class.

        In the proportions of the data they are the classes' shares of the pool, rounded so that their sum is the
        budget, and at least one of each class that the pool has.

        Raises:
            UsageError: the budget is smaller than the number of classes.
        """
        sizes = torch.bincount(self.task.train.y[self.pool], minlength=len(self.task.classes))
        budget = self.budget // self.tiles
        if self.proportions == "balanced":
            return [self.budget // len(sizes)] * len(sizes)
        present = int((sizes > 0).sum())
        require(
            budget >= present,
            f"--budget {budget} is less than one member of each of the {present} classes: take at least {present}",
        )
        share = budget * sizes.double() / sizes.sum()
        counts = torch.maximum((sizes > 0).long(), share.floor().long())
        # What is left goes to the classes furthest below their share; the single members come from those above it.
        while int(counts.sum()) < budget:
            counts[(share - counts).argmax()] += 1
        while int(counts.sum()) > budget:
            counts[torch.where(counts > 1, share - counts, torch.inf).argmin()] -= 1
        return [self.tiles * int(each) for each in counts]

    def groups(self) -> list[tuple[Tensor, int]]:
        """Return the pool by class, with how many members to choose from each: ``(members, count)``.

        A class from which none is to be chosen is left out.

        Raises:
            UsageError: a class has too few members, or the budget is smaller than the number of classes.
        """
        y = self.task.train.y[self.pool]
        sizes = torch.bincount(y, minlength=len(self.counts)).tolist()
        # One sort, not a pass for each class.
        parts = list(zip(self.pool[y.argsort(stable=True)].split(sizes), self.counts, strict=True))
        for (members, count), name in zip(parts, self.task.classes, strict=True):
            require(
                count <= len(members),
                f"--budget {self.budget // self.tiles} asks for {count} members of class '{name}', which has "
                f"{len(members)}: take a smaller budget or --proportions data",
            )
        return [(members, count) for members, count in parts if count]
