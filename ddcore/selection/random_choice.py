"""Random members: what every other way to choose has to beat."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ddcore.draws import permutation
from ddcore.options import option
from ddcore.selection.choice import Choice
from ddcore.selection.quotas import class_groups


@dataclass(frozen=True)
class RandomChoice:
    """Members drawn at random, without repetition."""

    kinds: ClassVar[tuple[str, ...]] = ("images", "text")
    needs_teacher: ClassVar[bool] = False

    balanced: bool = option(True, "the same number of members from every class")

    def select(self, choice: Choice) -> Tensor:
        """Return the chosen members: ``(budget,)`` int64 indices into the training set.

        Raises:
            UsageError: the budget cannot be had from the pool.
        """
        groups = class_groups(choice, self.balanced)
        drawn = [
            members[permutation(len(members), choice.seed, "random", k)[:n]] for k, (members, n) in enumerate(groups)
        ]
        return torch.cat(drawn)
