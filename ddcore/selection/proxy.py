"""What briefly trained networks say about the members: the ground of several scores."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ddcore.data import Examples
from ddcore.nets import build_net, net_name
from ddcore.options import option
from ddcore.selection.choice import Choice
from ddcore.selection.quotas import class_groups, hardest
from ddcore.training import Setting, train, whole_recipe


@dataclass(frozen=True)
class Brief:
    """The options of a selector that trains networks for a short while and scores the members by them."""

    balanced: bool = option(True, "the same number of members from every class")
    net: str = option("default", "network that is trained to score the members")
    networks: int = option(1, "how many networks the score is averaged over", low=1, high=100)
    share: float = option(0.25, "training steps of each, as a fraction of the whole set's recipe", low=0.001, high=1)

    def total(self, choice: Choice, purpose: str, score: Callable[[nn.Module, Examples], Tensor]) -> Tensor:
        """Return each training member's score, added over the networks in their order: ``(N,)``, 0 outside the pool.

        Args:
            choice: what is to be chosen.
            purpose: keys the networks' weights.
            score: returns the members' scores ``(P,)`` by a network after its short training.

        Raises:
            UsageError: the network does not read this kind of data.
        """
        task = choice.task
        name = net_name(self.net, task)
        recipe = whole_recipe(task, name, "cpu")
        recipe = replace(recipe, steps=max(1, round(recipe.steps * self.share)))
        members = task.train[choice.pool]

        def by(k: int) -> Tensor:
            net = build_net(name, task, choice.seed, purpose, k)
            made = train(
                net,
                task,
                members,
                recipe,
                Setting(choice.seed + k, choice.device, choice.progress),
            )
            return score(made.net, members)

        total = torch.zeros(len(task.train))
        for found in choice.each(self.networks, by):
            total[choice.pool] += found
        return total


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
        score = self.total(choice, self.purpose, lambda net, members: self.scores(net, members, choice))
        return torch.cat([hardest(score, part, count) for part, count in groups])


def error_norm(logits: Tensor, y: Tensor) -> Tensor:
    """Return the length of (probabilities - one-hot label): ``(N,)`` between 0 and √2.

    Args:
        logits: ``(N, C)`` float32.
        y: ``(N,)`` int64.
    """
    return (logits.softmax(1) - one_hot(y, logits.shape[1])).norm(dim=1)
