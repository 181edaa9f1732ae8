"""Entropy: the members that briefly trained networks are least sure of."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ddcore.selection.brief import Brief
from ddcore.selection.choice import Choice
from ddcore.selection.quotas import class_groups, hardest
from ddcore.training import predict


@dataclass(frozen=True)
class Entropy(Brief):
    """The least certain members: largest entropy of what briefly trained networks answer, labels left aside.

    Source: Coleman et al. 2020, selection via proxy, maximum entropy.
    """

    kinds: ClassVar[tuple[str, ...]] = ("images", "text")
    needs_teacher: ClassVar[bool] = False

    def select(self, choice: Choice) -> Tensor:
        """Return the chosen members, least certain first in each class: ``(budget,)`` int64 training indices.

        Raises:
            UsageError: the budget cannot be had from the pool, or the network does not read this kind of data.
        """
        groups = class_groups(choice, self.balanced)
        score = torch.zeros(len(choice.task.train))
        for net, members in self.trained(choice, "entropy"):
            score[choice.pool] += entropies(predict(net, choice.task, members.x, device=choice.device))
        return torch.cat([hardest(score, part, count) for part, count in groups])


def entropies(logits: Tensor) -> Tensor:
    """Return the entropy ``(N,)``, in nats, of the probabilities behind logits ``(N, C)``."""
    log_p = logits.log_softmax(1)
    return -(log_p.exp() * log_p).sum(1)
