"""boost-dd: one block of members after another, so that every prefix of the set is a good set of its own."""

import itertools
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from ddcore.data.task import Task
from ddcore.distilled_set import DistilledSet
from ddcore.errors import UsageError
from ddcore.methods.windows import Windowed, WindowRun
from ddcore.options import option
from ddcore.teacher import Teacher


@dataclass(frozen=True)
class BoostDD(Windowed):
    """A set that grows block by block; members learned earlier move on at a reduced rate.

    The first block is distilled as by rat-bptt. Then the next block joins, and the whole is distilled on, and so
    forth. The last stage takes --steps, an earlier one more of them, by the root of how much smaller it is, so that
    stages take about equally long. Members keep their order: the first n of them are a set of their own.

    Source: Feng et al. 2024, Boost-DD.
    """

    kinds: ClassVar[tuple[str, ...]] = ("images",)
    needs_teacher: ClassVar[bool] = False

    blocks: str = option("1,2,5,10", "members of each class after each stage, with commas between")
    earlier: float = option(0.1, "share of the learning rates at which earlier blocks move on", low=0, high=1)

    def quick(self) -> "BoostDD":
        """Return these options at toy length."""
        return self.shortened()

    def stages(self, task: Task, budget: int) -> list[int]:
        """Return the number of members after each stage.

        Raises:
            UsageError: the blocks do not grow to the budget.
        """
        try:
            sizes = [int(each) * len(task.classes) for each in self.blocks.split(",")]
        except ValueError as error:
            raise UsageError(f"--blocks {self.blocks} is not a list of numbers with commas between") from error
        if sizes[0] < 1 or any(a >= b for a, b in itertools.pairwise(sizes)) or sizes[-1] != budget:
            raise UsageError(
                f"--blocks {self.blocks} must rise to the members of a class that --budget {budget} has: "
                f"{budget // len(task.classes)}"
            )
        return sizes

    def of_stage(self, size: int, last: int) -> "BoostDD":
        """Return the same with the steps of a stage that ends with `size` of the `last` members."""
        return replace(self, steps=round(self.steps * (last / size) ** 0.5))

    def start_stage(
        self,
        stage: int,
        earlier: DistilledSet | None,
        task: Task,
        budget: int,
        teacher: Teacher | None,
        seed: int,
        device: torch.device,
    ) -> WindowRun:
        """Return the set that a stage begins with: the members so far and a block of new ones."""
        sizes = self.stages(task, budget)
        variables = self.variables(task, budget, teacher, seed, device)
        variables.grow(sizes[stage], earlier, self.earlier)
        return WindowRun(self, task, variables, seed, device, ordered=True)
