"""K-means: the members nearest to the centres of as many clusters."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ddcore.draws import generator
from ddcore.kernels import class_moments
from ddcore.options import option
from ddcore.problem import Problem
from ddcore.runtime import Session
from ddcore.selection.scores import member_features
from ddcore.selection.selector import Selector

CHUNK = 4096


@dataclass(frozen=True)
class KMeans(Selector):
    """Members nearest to the centres of k-means clusters in the teacher's features.

    Source: Lloyd 1982, started as Arthur and Vassilvitskii 2007 say.
    """

    name: ClassVar[str] = "k-means"
    kinds: ClassVar[tuple[str, ...]] = ("images", "text")
    teacher_for: ClassVar[tuple[str, ...]] = ("images",)

    rounds: int = option(20, "how often members are assigned to centres and centres moved", low=1, high=1000)

    def select(self, problem: Problem, session: Session) -> Tensor:
        """Return the chosen members: ``(budget,)`` int64 indices into the training set.

        Raises:
            UsageError: images have no teacher with features, or the budget cannot be had from the pool.
        """
        features = member_features(problem, self.name)
        chosen = []
        for k, (members, count) in enumerate(problem.groups()):
            x = features[members].to(problem.device)
            centres = cluster(x, count, self.rounds, generator(problem.seed, "k-means", k))
            chosen.append(members[nearest_rows(x, centres).cpu()])
            session.report(len(torch.cat(chosen)), problem.budget)
        return torch.cat(chosen)


def cluster(x: Tensor, count: int, rounds: int, draws: torch.Generator) -> Tensor:
    """Return the centres of k-means clusters: ``(count, D)``; `x` is ``(P, D)`` float32.

    A centre that loses all its members stays where it was.
    """
    centres = x[_first_centres(x, count, draws)].clone()
    for _ in range(rounds):
        owner = torch.cat([torch.cdist(part, centres).argmin(1) for part in x.split(CHUNK)])
        if x.is_cuda:  # index_add_ has no fixed order there
            size, mean, _ = class_moments(x, owner, count)
        else:
            size = torch.bincount(owner, minlength=count)
            mean = torch.zeros_like(centres).index_add_(0, owner, x) / size.clamp(min=1)[:, None]
        centres = torch.where(size[:, None] > 0, mean, centres)
    return centres


def _first_centres(x: Tensor, count: int, draws: torch.Generator) -> Tensor:
    """Draw rows, each with a chance in proportion to its squared distance from those before it."""
    chosen = torch.empty(count, dtype=torch.int64, device=x.device)
    lots = torch.rand(count, generator=draws, dtype=torch.float64).to(x.device)
    distance = torch.ones(len(x), dtype=torch.float64, device=x.device)
    for k in range(count):
        heights = distance.cumsum(0)
        chosen[k] = torch.searchsorted(heights, lots[k] * heights[-1]).clamp(max=len(x) - 1)
        away = (x - x[chosen[k]]).square().sum(1).double()
        distance = away if k == 0 else torch.minimum(distance, away)
    return chosen


def nearest_rows(x: Tensor, centres: Tensor) -> Tensor:
    """Return a row of `x` near each centre, no row twice: ``(K,)`` int64.

    A centre whose nearest row is taken gets the nearest one left, in the order of the centres.
    """
    free = torch.ones(len(x), dtype=torch.bool, device=x.device)
    chosen = torch.empty(len(centres), dtype=torch.int64, device=x.device)
    for k, centre in enumerate(centres):
        best = torch.where(free, (x - centre).square().sum(1), torch.inf).argmin()
        chosen[k], free[best] = best, False
    return chosen
