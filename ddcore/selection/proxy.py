"""Proxy networks: trained for a short while to score the members."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ddcore.nets import build_net, net_name
from ddcore.options import option
from ddcore.problem import Problem
from ddcore.runtime import Session, collected, passing
from ddcore.selection.scores import hardest
from ddcore.selection.selector import Selector
from ddcore.training import Setting, answers, train, whole_recipe

Score = Callable[[nn.Module], Tensor]


@dataclass(frozen=True)
class Proxy(Selector):
    """The options of a selector that trains networks for a short while and scores the members by them."""

    net: str = option("default", "network that is trained to score the members")
    networks: int = option(1, "how many networks the score is averaged over", low=1, high=100)
    share: float = option(0.25, "training steps of each, as a fraction of the whole set's recipe", low=0.001, high=1)

    def total(self, problem: Problem, session: Session, purpose: str, score: Score) -> Tensor:
        """Return each training member's score, added over the networks in their order: ``(N,)``, 0 outside the pool.

        Args:
            problem: what is asked for.
            session: whose processes share the networks.
            purpose: keys the networks' weights.
            score: returns the scores of the pool's members ``(P,)`` by a network after its short training.

        Raises:
            UsageError: the network does not read this kind of data.
        """
        task = problem.task
        name = net_name(self.net, task)
        recipe = whole_recipe(task, name, "cpu")
        recipe = replace(recipe, steps=max(1, round(recipe.steps * self.share)))

        def by(k: int) -> Tensor:
            net = build_net(name, task, problem.seed, purpose, k)
            setting = Setting(problem.seed + k, problem.device, session.progress, members=problem.pool)
            train(net, task, task.train, recipe, setting)
            return score(net)

        total = torch.zeros(len(task.train))
        for scores in session.each(self.networks, by):
            total[problem.pool] += scores
        return total


@dataclass(frozen=True)
class Hardest(Proxy):
    """A selector that takes the members with the largest scores; its name keys the networks' weights."""

    def score(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the scores ``(n,)`` of some members by what a network says ``(n, C)``, and their classes ``(n,)``."""
        raise TypeError(f"{type(self).__name__} has no score")

    def scores(self, net: nn.Module, problem: Problem, session: Session) -> Tensor:
        """Return the score of each of the pool's members by one network: ``(P,)`` on the CPU."""
        return scored(net, problem, session, self.score)

    def select(self, problem: Problem, session: Session) -> Tensor:
        """Return the chosen members, largest score first in each class: ``(budget,)`` int64 training indices.

        Raises:
            UsageError: the budget cannot be had from the pool, or the network does not read this kind of data.
        """
        groups = problem.groups()
        score = self.total(problem, session, self.name, lambda net: self.scores(net, problem, session))
        return torch.cat([hardest(score, part, count) for part, count in groups])


def scored(
    net: nn.Module,
    problem: Problem,
    session: Session,
    score: Callable[[Tensor, Tensor], Tensor],
    members: Tensor | None = None,
) -> Tensor:
    """Return what a function makes of a network's answers: ``(P, ...)``; one batch of answers is held at a time.

    Args:
        net: is asked about the members, under a bar.
        problem: gives them.
        session: may show the bar.
        score: of logits ``(n, C)`` float32 and classes ``(n,)`` int64, both on the CPU.
        members: ``(P,)`` int64; None for the pool.
    """
    task, asked = problem.task, problem.pool if members is None else members
    said = answers(net, task, task.train.x, device=problem.device, members=asked)
    parts = (score(logits, task.train.y[asked[rows]]) for rows, logits in said)
    return collected(passing(parts, len(asked), session), len(asked))


def error_norm(logits: Tensor, y: Tensor) -> Tensor:
    """Return the length of (probabilities - one-hot label): ``(N,)`` between 0 and √2.

    Args:
        logits: ``(N, C)`` float32.
        y: ``(N,)`` int64.
    """
    return (logits.softmax(1) - one_hot(y, logits.shape[1])).norm(dim=1)
