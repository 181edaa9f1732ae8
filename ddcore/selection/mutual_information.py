"""Mutual information: members whose features tell most about their label, and not what others tell already."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ddcore.options import option
from ddcore.problem import Problem
from ddcore.runtime import Session
from ddcore.selection.information import class_centred, local_information, principal
from ddcore.selection.scores import member_features
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
        groups = problem.groups()
        pool, y = problem.pool, problem.task.train.y
        features = member_features(problem, self.name)
        information = torch.zeros(len(y), dtype=torch.float64)
        likeness = torch.zeros_like(features)
        information[pool] = local_information(principal(features[pool], self.features), y[pool], self.neighbours)
        likeness[pool] = class_centred(features[pool], y[pool])
        chosen: list[Tensor] = []
        for members, count in groups:
            i, x = information[members].to(problem.device), likeness[members].to(problem.device)
            rows = informative(i, x, y[members].to(problem.device), count, self.redundancy)
            chosen.append(members[rows.cpu()])
            session.report(sum(map(len, chosen)), problem.budget)
        return torch.cat(chosen)


def informative(information: Tensor, x: Tensor, y: Tensor, count: int, redundancy: float) -> Tensor:
    """Return rows in the order in which they are taken: ``(count,)`` int64; ties go to the earlier row.

    Args:
        information: ``(P,)`` float64, in nats.
        x: ``(P, D)`` float32, of length 1, whose products are the likeness of rows of one class.
        y: ``(P,)`` int64 labels.
        count: at most P.
        redundancy: weight of the mean likeness to the rows taken before.
    """
    shared = torch.zeros_like(information)
    free = torch.ones_like(y, dtype=torch.bool)
    chosen = torch.empty(count, dtype=torch.int64, device=x.device)
    for k in range(count):
        score = information - redundancy * shared / max(1, k)
        best = torch.where(free, score, -torch.inf).argmax()
        chosen[k], free[best] = best, False
        shared += (x @ x[best]).double() * (y == y[best])
    return chosen
