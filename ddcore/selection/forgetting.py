"""Forgetting: the members that a network learns and loses again while it is trained."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from ddcore.errors import require
from ddcore.nets import build_net, net_name
from ddcore.options import option
from ddcore.problem import Problem
from ddcore.runtime import Session
from ddcore.selection.proxy import scored
from ddcore.selection.scores import hardest
from ddcore.selection.selector import Selector
from ddcore.training import Setting, train, whole_recipe


@dataclass(frozen=True)
class Forgetting(Selector):
    """The members forgotten most often in a short training; those never learned count as forgotten most.

    Source: Toneva et al. 2019. Deviates: every member is asked at fixed rounds of one training, not whenever it is
    in a batch, so that all are asked equally often; ties are broken by how often a member was wrong.
    """

    name: ClassVar[str] = "forgetting"
    kinds: ClassVar[tuple[str, ...]] = ("images", "text")

    net: str = option(
        "default", "network whose training is watched, step by step; default: the data's own, bag in place of linear"
    )
    share: float = option(0.25, "length of the training, as a fraction of the whole set's recipe", low=0.001, high=1)
    rounds: int = option(8, "how often all members are asked on the way", low=2, high=1000)

    def select(self, problem: Problem, session: Session) -> Tensor:
        """Return the chosen members, most forgotten first in each class: ``(budget,)`` int64 indices.

        Raises:
            UsageError: the budget cannot be had from the pool, or the network does not read this kind of data or is not
                trained step by step.
        """
        task = problem.task
        groups = problem.groups()
        # The data's own network may be fitted at once: its training has no way to be watched on.
        name = "bag" if (self.net, task.default_net) == ("default", "linear") else net_name(self.net, task)
        net = build_net(name, task, problem.seed, "forgetting")
        require(
            not hasattr(net, "solve"),
            f"forgetting watches a training step by step, and network '{name}' is fitted at once: python scripts/"
            f"select_subset.py forgetting --net bag {task.flag} --budget {problem.budget} --out runs/{task.name}-bag",
        )
        recipe = whole_recipe(task, name, "cpu")
        recipe = replace(recipe, steps=max(1, round(recipe.steps * self.share)))
        watch = Watch(net, problem, self.rounds, session)
        train(net, task, task.train, recipe, Setting(problem.seed, problem.device, watch, members=problem.pool))
        score = torch.zeros(len(task.train), dtype=torch.float64)
        score[problem.pool] = forgetting_score(torch.stack(watch.right))
        return torch.cat([hardest(score, part, count) for part, count in groups])


@dataclass
class Watch:
    """Asks a network about the pool's members at equal distances of its training, as a progress callback."""

    net: nn.Module
    problem: Problem
    rounds: int
    session: Session
    right: list[Tensor] = field(default_factory=list)

    def __call__(self, step: int, total: int, values: dict[str, float]) -> None:
        if self.session.progress is not None:
            self.session.progress(step, total, values)
        if step >= round(total * (len(self.right) + 1) / self.rounds):
            self.right.append(scored(self.net, self.problem, self.session, lambda logits, y: logits.argmax(1) == y))
            self.net.train()


def forgetting_score(right: Tensor) -> Tensor:
    """Return how hard members are to keep: ``(N,)`` float64.

    Args:
        right: ``(R, N)`` bool, whether each member was answered correctly in each round.

    Returns:
        Times that a member went from right to wrong, or R if it was never right, plus the fraction of wrong
        answers as a tie-break (below 1).
    """
    rounds = len(right)
    forgotten = (right[:-1] & ~right[1:]).sum(0).double()
    forgotten = torch.where(right.any(0), forgotten, float(rounds))
    return forgotten + (~right).double().sum(0) / (rounds + 1)
