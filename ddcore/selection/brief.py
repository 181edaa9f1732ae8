"""What briefly trained networks say about the members: the ground of several scores."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ddcore.examples import Examples
from ddcore.nets import build_net, net_name
from ddcore.options import option
from ddcore.recipes import whole_recipe
from ddcore.selection.choice import Choice
from ddcore.selection.quotas import class_groups, hardest
from ddcore.training import train


@dataclass(frozen=True)
class Brief:
    """The options of a selector that trains networks for a short while and scores the members by them."""

    balanced: bool = option(True, "the same number of members from every class")
    net: str = option("default", "network that is trained to score the members")
    networks: int = option(1, "how many networks the score is averaged over", low=1, high=100)
    share: float = option(0.25, "training steps of each, as a fraction of the whole set's recipe", low=0.001, high=1)

    def trained(self, choice: Choice, purpose: str) -> Iterator[tuple[nn.Module, Examples]]:
        """Yield each network after its short training, and the members of the pool.

        Raises:
            UsageError: the network does not read this kind of data.
        """
        task = choice.task
        name = net_name(self.net, task)
        recipe = whole_recipe(task, name, "cpu")
        recipe = replace(recipe, steps=max(1, round(recipe.steps * self.share)))
        members = task.train[choice.pool]
        for k in range(self.networks):
            net = build_net(name, task, choice.seed, purpose, k)
            made = train(
                net, task, members, recipe, seed=choice.seed + k, device=choice.device, progress=choice.progress
            )
            yield made.net, members


@dataclass(frozen=True)
class Hardest(Brief):
    """A selector that takes the members with the largest scores.

    Attributes:
        purpose: its name, which keys the networks' weights.
    """

    purpose: ClassVar[str]

    def scores(self, net: nn.Module, members: Examples, choice: Choice) -> Tensor:
        """Return each member's score by one network: ``(P,)`` on the CPU."""
        raise TypeError(f"{type(self).__name__} has no score")

    def select(self, choice: Choice) -> Tensor:
        """Return the chosen members, largest score first in each class: ``(budget,)`` int64 training indices.

        Raises:
            UsageError: the budget cannot be had from the pool, or the network does not read this kind of data.
        """
        groups = class_groups(choice, self.balanced)
        score = torch.zeros(len(choice.task.train))
        for net, members in self.trained(choice, self.purpose):
            score[choice.pool] += self.scores(net, members, choice)
        return torch.cat([hardest(score, part, count) for part, count in groups])


def error_norm(logits: Tensor, y: Tensor) -> Tensor:
    """Return the length of (probabilities - one-hot label): ``(N,)`` between 0 and √2.

    Args:
        logits: ``(N, C)`` float32.
        y: ``(N,)`` int64.
    """
    return (logits.softmax(1) - one_hot(y, logits.shape[1])).norm(dim=1)
