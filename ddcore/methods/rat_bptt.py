"""rat-bptt: a random window of a long inner loop is differentiated, and the gradient clipped by its running norm."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from ddcore.data import Task
from ddcore.methods.windows import Windowed, WindowRun
from ddcore.training import Teacher


@dataclass(frozen=True)
class RatBPTT(Windowed):
    """Images learned through random windows of long trainings.

    A pool of networks is trained on the synthetic set, each from fresh weights to the end of the unroll and then anew.
    An outer step takes one of them, trains it for a window of steps and differentiates the loss that real members
    then have through these steps; the network goes on from there. First windows begin at random steps, so that all
    of the unroll is covered. The gradient is scaled down where it is longer than its running mean.

    Source: Feng et al. 2024. Deviates: networks go on from window to window (a pool) in place of being trained anew
    for each; one step size, learned as its logarithm.
    """

    kinds: ClassVar[tuple[str, ...]] = ("images",)
    needs_teacher: ClassVar[bool] = False

    def quick(self) -> "RatBPTT":
        """Return these options at toy length."""
        return self.shortened()

    def start(self, task: Task, budget: int, teacher: Teacher | None, seed: int, device: torch.device) -> WindowRun:
        """Return the set to begin with and a young pool.

        Raises:
            UsageError: the window is longer than the unroll, or the budget cannot be had.
        """
        return WindowRun(self, task, self.variables(task, budget, teacher, seed, device), seed, device)
