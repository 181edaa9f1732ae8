"""Mutual information: members whose features tell most about their label, and not what others tell already."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ddcore.options import option
from ddcore.problem import Problem
from ddcore.runtime import Session
from ddcore.selection.features import BLOCK, Blocks, products
from ddcore.selection.information import centred, local_information, principal
from ddcore.selection.scores import by_class, member_features
from ddcore.selection.selector import Selector


@dataclass(frozen=True)
class MutualInformation(Selector):
    """The most informative members: largest local mutual information of teacher features and label, less redundancy.

    Members are taken one after the other, each with the largest ``i - redundancy * s``: i is what its features say
    about its label in nats (`local_information`, in the leading principal directions), s the mean cosine between it
    and those taken before in the features less their class's mean. Those of another class count as 0.

    Source: Ross 2014 for i; relevance less mean redundancy as in Peng et al. 2005, eq. 7. Deviates: members are
    ranked, not features, so both are local; two members' redundancy is a cosine, which may be below 0, not nats.
    """

    name: ClassVar[str] = "mutual-information"
    kinds: ClassVar[tuple[str, ...]] = ("images", "text")
    teacher_for: ClassVar[tuple[str, ...]] = ("images",)

    features: int = option(8, "leading principal directions of the teacher's features to estimate in", low=1, high=64)
    neighbours: int = option(10, "of a member's class, whose distance says what is near", low=1, high=1000)
    redundancy: float = option(1.0, "weight of a member's mean likeness to those taken before", low=0, high=1000)

    @property
    def seeded(self) -> bool:
        """Whether the choice depends on the problem's seed."""
        return False

    def select(self, problem: Problem, session: Session) -> Tensor:
        """Return the chosen members, class after class in the order taken: ``(budget,)`` int64 indices. Draws nothing.

        Raises:
            UsageError: images have no teacher with features, or the budget cannot be had from the pool.
        """
        problem.groups()  # says what cannot be had before the long passes
        pool, y = problem.pool, problem.task.train.y
        features = member_features(problem, self.name)
        information = torch.zeros(len(y), dtype=torch.float64)
        places = principal(features.of(pool, pool.device, 2 * BLOCK), self.features)
        information[pool] = local_information(places, y[pool], self.neighbours)

        def choose(k: int, members: Tensor, count: int) -> Tensor:
            x = centred(features.of(members, problem.device))
            return informative(information[members].to(problem.device), x, count, self.redundancy)

        return by_class(problem, session, choose)


def informative(information: Tensor, x: Blocks, count: int, redundancy: float) -> Tensor:
    """Return rows in the order in which they are taken: ``(count,)`` int64; ties go to the earlier row.

    Args:
        information: ``(P,)`` float64, in nats.
        x: ``(P, D)``, of length 1, whose products are the likeness of the rows, all of one class.
        count: at most P.
        redundancy: weight of the mean likeness to the rows taken before.
    """
    shared = torch.zeros_like(information)
    free = torch.ones_like(information, dtype=torch.bool)
    chosen = torch.empty(count, dtype=torch.int64, device=information.device)
    for k in range(count):
        score = information - redundancy * shared / max(1, k)
        best = torch.where(free, score, -torch.inf).argmax()
        chosen[k], free[best] = best, False
        shared += products(x, x[best]).double()
    return chosen
