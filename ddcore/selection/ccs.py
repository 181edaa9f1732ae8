"""CCS: random members of every degree of difficulty, but for the very hardest."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ddcore.draws import permutation
from ddcore.options import option
from ddcore.problem import Problem
from ddcore.runtime import Session
from ddcore.selection.proxy import Proxy, error_norm, scored


@dataclass(frozen=True)
class CCS(Proxy):
    """Coverage-centric selection: members are sorted into strata of equal width by EL2N, each gives as many.

    The hardest are left out first, for they are often mislabelled. Strata with too few members give all of them, and
    the others share the rest.

    Source: Zheng et al. 2023, algorithm 1, with EL2N as the score.
    """

    name: ClassVar[str] = "ccs"
    kinds: ClassVar[tuple[str, ...]] = ("images", "text")

    strata: int = option(50, "parts of equal width of the range of scores", low=1, high=10_000)
    drop: float = option(0.1, "share of each class with the largest scores that is left out", low=0, high=0.9)

    def select(self, problem: Problem, session: Session) -> Tensor:
        """Return the chosen members, class after class: ``(budget,)`` int64 indices into the training set.

        Where too few are left after dropping, the last to be dropped are taken back.

        Raises:
            UsageError: the budget cannot be had from the pool, or the network does not read this kind of data.
        """
        groups = problem.groups()

        score = self.total(problem, session, "ccs", lambda net: scored(net, problem, session, error_norm))
        chosen: list[Tensor] = []
        for part, count in groups:
            easiest = part[score[part].argsort(stable=True)]
            remaining = easiest[: max(count, len(part) - round(self.drop * len(part)))]
            shuffled = remaining[permutation(len(remaining), problem.seed, "ccs", len(chosen))]
            chosen.append(stratified(shuffled, score[shuffled], self.strata, count))
        return torch.cat(chosen)


def stratified(members: Tensor, score: Tensor, strata: int, count: int) -> Tensor:
    """Return `count` members, as evenly as can be from strata of equal width of their scores.

    Args:
        members: ``(P,)`` int64, in the order in which a stratum gives them.
        score: ``(P,)``, theirs.
        strata: how many.
        count: at most P.
    """
    low, high = score.min(), score.max()
    width = ((high - low) / strata).clamp(min=1e-12)
    stratum = ((score - low) / width).long().clamp(max=strata - 1)
    groups = sorted((members[stratum == k] for k in stratum.unique()), key=len)
    chosen: list[Tensor] = []
    for place, group in enumerate(groups):
        quota = (count - sum(map(len, chosen))) // (len(groups) - place)
        chosen.append(group[:quota])
    return torch.cat(chosen)
