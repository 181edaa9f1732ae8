"""Margin: the hardest members, but for those that look mislabelled."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from ddcore.draws import permutation
from ddcore.errors import UsageError, require
from ddcore.nets import build_net, net_name
from ddcore.options import option
from ddcore.problem import Problem
from ddcore.runtime import Session
from ddcore.selection.proxy import scored
from ddcore.selection.selector import Selector
from ddcore.training import Setting, slices, train, whole_recipe


@dataclass(frozen=True)
class Margin(Selector):
    """The hardest members after dropping the likely mislabelled, by margins of networks that never saw them.

    A member's margin is its label's logit less the largest other one. Networks that were trained on a member have
    learned its label, right or wrong, so each member is judged by a network trained on the other folds.

    Source: the margins of Bartlett et al. 1998; judging by folds as Northcutt et al. 2021 do.
    """

    name: ClassVar[str] = "margin"
    kinds: ClassVar[tuple[str, ...]] = ("images", "text")

    net: str = option("default", "network that is trained to judge the members")
    folds: int = option(4, "parts of the pool; 0 takes the margins of --teacher instead of training", low=0, high=100)
    drop: float = option(0.01, "share of each class with the smallest margins that is left out", low=0, high=0.9)
    share: float = option(
        1.0, "training steps of each network, as a fraction of the whole set's recipe", low=0.001, high=1
    )

    @property
    def seeded(self) -> bool:
        """Whether the choice depends on the problem's seed."""
        return self.folds > 0

    def select(self, problem: Problem, session: Session) -> Tensor:
        """Return the chosen members, hardest first in each class: ``(budget,)`` int64 indices into the training set.

        Where too few are left after dropping, the last to be dropped are taken back.

        Raises:
            UsageError: the budget cannot be had from the pool, there is 1 fold, or there are none and no teacher.
        """
        task, groups = problem.task, problem.groups()
        require(
            self.folds != 1 and self.folds <= len(problem.pool),
            f"--folds {self.folds} must be 0, or from 2 to the pool's {len(problem.pool)}",
        )
        if self.folds == 0:
            if problem.teacher is None:
                raise UsageError("margin with --folds 0 needs --teacher RUN_DIR")
            logits, y = problem.teacher.logits, task.train.y
            score = torch.cat([margins(logits[rows], y[rows]) for rows in slices(len(y))])
        else:
            score = self._unseen(problem, session)
        chosen = []
        for part, count in groups:
            ordered = part[score[part].argsort(stable=True)]
            skipped = min(round(self.drop * len(part)), len(part) - count)
            chosen.append(ordered[skipped : skipped + count])
        return torch.cat(chosen)

    def _unseen(self, problem: Problem, session: Session) -> Tensor:
        """Return the pool's members' margins by networks trained on the other folds: ``(N,)``, 0 outside the pool."""
        task, pool, seed = problem.task, problem.pool, problem.seed
        name = net_name(self.net, task)
        recipe = whole_recipe(task, name, "cpu")
        recipe = replace(recipe, steps=max(1, round(recipe.steps * self.share)))
        score = torch.zeros(len(task.train))
        fold = permutation(len(pool), seed, "folds") % self.folds

        def unseen(k: int) -> Tensor:
            net = build_net(name, task, seed, "margin", k)
            train(net, task, task.train, recipe, Setting(seed + k, problem.device, members=pool[fold != k]))
            session.report(k + 1, self.folds)
            return scored(net, problem, session, margins, pool[fold == k])

        for k, found in enumerate(session.each(self.folds, unseen)):
            score[pool[fold == k]] = found
        return score


def margins(logits: Tensor, y: Tensor) -> Tensor:
    """Return each label's logit less the largest other one: ``(N,)``, negative where the answer is wrong.

    Args:
        logits: ``(N, C)`` float32.
        y: ``(N,)`` int64.
    """
    own = logits.gather(1, y[:, None])
    others = logits.scatter(1, y[:, None], -torch.inf)
    return own[:, 0] - others.max(1).values
