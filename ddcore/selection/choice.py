"""What a selector is asked to choose."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ddcore.data import Task
from ddcore.runtime import Exchange, Progress, Share
from ddcore.training import Teacher


@dataclass(frozen=True)
class Choice:
    """A number of members to be chosen from a pool.

    Attributes:
        task: the data set.
        pool: ``(P,)`` int64, the training members that may be chosen.
        budget: how many.
        seed: of all draws.
        device: where to compute.
        teacher: for selectors that need one.
        progress: called with members chosen, or steps taken, and how many there will be.
        exchange: shares the networks that have to be trained among processes; None where each trains them all.
        notes: JSON values that the selector tells about its choice; they are kept with the set.
    """

    task: Task
    pool: Tensor
    budget: int
    seed: int
    device: torch.device
    teacher: Teacher | None = None
    progress: Progress | None = None
    exchange: Exchange | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    def each(self, count: int, work: Callable[[int], Tensor]) -> list[Tensor]:
        """Return what `work` gives for 0, 1 … `count` - 1, on the CPU, each computed by one of the processes."""
        if self.exchange is None:
            return [work(k).cpu() for k in range(count)]
        mine = [Share(k, {"found": work(k).cpu()}) for k in self.exchange.mine(count)]
        return [share.tensors["found"] for share in self.exchange.gathered(mine)]

    def report(self, done: int, total: int) -> None:
        """Tell how far the choice is."""
        if self.progress is not None:
            self.progress(done, total, {})
