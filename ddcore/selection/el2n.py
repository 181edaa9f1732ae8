"""EL2N: the members that briefly trained networks get most wrong."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ddcore.selection.brief import Brief, error_norm
from ddcore.selection.choice import Choice
from ddcore.selection.quotas import class_groups, hardest
from ddcore.training import predict


@dataclass(frozen=True)
class EL2N(Brief):
    """The hardest members: largest error norm of briefly trained networks.

    Source: Paul et al. 2021, the EL2N score. Deviates: few networks, so that it costs less than a training.
    """

    kinds: ClassVar[tuple[str, ...]] = ("images", "text")
    needs_teacher: ClassVar[bool] = False

    def select(self, choice: Choice) -> Tensor:
        """Return the chosen members, hardest first in each class: ``(budget,)`` int64 indices into the training set.

        Raises:
            UsageError: the budget cannot be had from the pool, or the network does not read this kind of data.
        """
        groups = class_groups(choice, self.balanced)
        score = torch.zeros(len(choice.task.train))
        for net, members in self.trained(choice, "el2n"):
            score[choice.pool] += error_norm(predict(net, choice.task, members.x, device=choice.device), members.y)
        return torch.cat([hardest(score, part, count) for part, count in groups])
