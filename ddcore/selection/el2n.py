"""EL2N: the members that briefly trained networks get most wrong."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ddcore.nets import build_net, net_name
from ddcore.options import option
from ddcore.recipes import whole_recipe
from ddcore.selection.choice import Choice
from ddcore.selection.quotas import class_groups, hardest
from ddcore.training import predict, train


@dataclass(frozen=True)
class EL2N:
    """The hardest members: largest error norm of briefly trained networks.

    Source: Paul et al. 2021, the EL2N score. Deviates: few networks, so that it costs less than a training.
    """

    kinds: ClassVar[tuple[str, ...]] = ("images", "text")
    needs_teacher: ClassVar[bool] = False

    balanced: bool = option(True, "the same number of members from every class")
    net: str = option("default", "network that is trained to score the members")
    networks: int = option(1, "how many networks the score is averaged over", low=1, high=100)
    share: float = option(0.25, "training steps of each, as a fraction of the whole set's recipe", low=0.001, high=1)

    def select(self, choice: Choice) -> Tensor:
        """Return the chosen members, hardest first in each class: ``(budget,)`` int64 indices into the training set.

        Raises:
            UsageError: the budget cannot be had from the pool, or the network does not read this kind of data.
        """
        task = choice.task
        groups = class_groups(choice, self.balanced)
        name = net_name(self.net, task)
        recipe = whole_recipe(task, name, "cpu")
        recipe = replace(recipe, steps=max(1, round(recipe.steps * self.share)))
        members = task.train[choice.pool]
        score = torch.zeros(len(task.train))
        for k in range(self.networks):
            net = build_net(name, task, choice.seed, "el2n", k)
            trained = train(
                net, task, members, recipe, seed=choice.seed + k, device=choice.device, progress=choice.progress
            )
            score[choice.pool] += error_norm(predict(trained.net, task, members.x, device=choice.device), members.y)
        return torch.cat([hardest(score, part, count) for part, count in groups])


def error_norm(logits: Tensor, y: Tensor) -> Tensor:
    """Return the length of (probabilities - one-hot label): ``(N,)`` between 0 and √2.

    Args:
        logits: ``(N, C)`` float32.
        y: ``(N,)`` int64.
    """
    return (logits.softmax(1) - one_hot(y, logits.shape[1])).norm(dim=1)
