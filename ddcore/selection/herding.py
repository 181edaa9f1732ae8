"""Herding: members whose running mean stays closest to the mean of all."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ddcore.options import option
from ddcore.selection.choice import Choice
from ddcore.selection.quotas import class_groups, teacher_features


@dataclass(frozen=True)
class Herding:
    """Members whose mean in the teacher's features follows the mean of the whole class.

    Source: Welling 2009, in the form of Rebuffi et al. 2017, algorithm 4.
    """

    kinds: ClassVar[tuple[str, ...]] = ("images",)
    needs_teacher: ClassVar[bool] = True

    balanced: bool = option(True, "the same number of members from every class")

    def select(self, choice: Choice) -> Tensor:
        """Return the chosen members: ``(budget,)`` int64 indices into the training set. Draws nothing.

        Raises:
            UsageError: the teacher has no features, or the budget cannot be had from the pool.
        """
        features = teacher_features(choice.teacher, "herding")
        chosen = []
        for members, count in class_groups(choice, self.balanced):
            chosen.append(members[herd(features[members].to(choice.device), count).cpu()])
            choice.report(len(torch.cat(chosen)), choice.budget)
        return torch.cat(chosen)


def herd(x: Tensor, count: int) -> Tensor:
    """Return rows of `x` in the order in which herding takes them.

    Args:
        x: ``(P, D)`` float32 features.
        count: how many rows, at most P.

    Returns:
        ``(count,)`` int64, all different.
    """
    mean = x.mean(0)
    # |mean - (total + x_i) / k|² without its constant part is (|x_i|² + 2 x_i·(total - k mean)) / k².
    square = x.square().sum(1)
    total = torch.zeros_like(mean)
    chosen = torch.empty(count, dtype=torch.int64, device=x.device)
    for k in range(count):
        best = (square + 2 * (x @ (total - (k + 1) * mean))).argmin()
        chosen[k] = best
        total = total + x[best]
        square[best] = torch.inf
    return chosen
