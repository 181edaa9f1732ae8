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
from ddcore.selection.features import Blocks, squares_from
from ddcore.selection.scores import by_class, member_features
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

        def choose(k: int, members: Tensor, count: int) -> Tensor:
            x = features.of(members, problem.device)
            return nearest_rows(x, cluster(x, count, self.rounds, generator(problem.seed, "k-means", k)))

        return by_class(problem, session, choose)


def cluster(x: Blocks, count: int, rounds: int, draws: torch.Generator) -> Tensor:
    """Return the centres of k-means clusters of rows ``(P, D)``: ``(count, D)`` float32.

    A centre that loses all its members stays where it was.
    """
    centres = _first_centres(x, count, draws)
    for _ in range(rounds):
        size, means = centres.new_zeros(count), torch.zeros_like(centres)
        for _, block in x:
            owner = torch.cat([torch.cdist(part, centres).argmin(1) for part in block.split(CHUNK)])
            if block.is_cuda:  # index_add_ has no fixed order there
                there, mean, _ = class_moments(block, owner, count)
            else:
                there = torch.bincount(owner, minlength=count)
                mean = torch.zeros_like(centres).index_add_(0, owner, block) / there.clamp(min=1)[:, None]
            size += there
            means += (mean - means) * (there / size.clamp(min=1))[:, None]
        centres = torch.where(size[:, None] > 0, means, centres)
    return centres


def _first_centres(x: Blocks, count: int, draws: torch.Generator) -> Tensor:
    """Draw rows ``(count, D)``, each with a chance in proportion to its squared distance from those before it."""
    chosen: list[Tensor] = []
    lots = torch.rand(count, generator=draws, dtype=torch.float64)
    distance = torch.ones(len(x), dtype=torch.float64)
    for lot in lots:
        heights = distance.cumsum(0)
        chosen.append(x[torch.searchsorted(heights, lot.to(heights.device) * heights[-1]).clamp(max=len(x) - 1)])
        away = squares_from(x, chosen[-1]).double()
        distance = away if len(chosen) == 1 else torch.minimum(distance, away)
    return torch.stack(chosen)


def nearest_rows(x: Blocks, centres: Tensor) -> Tensor:
    """Return a row of `x` near each centre, no row twice: ``(K,)`` int64.

    A centre whose nearest row is taken gets the nearest one left, in the order of the centres.
    """
    free = torch.ones(len(x), dtype=torch.bool, device=centres.device)
    chosen = torch.empty(len(centres), dtype=torch.int64, device=centres.device)
    for k, centre in enumerate(centres):
        best = torch.where(free, squares_from(x, centre), torch.inf).argmin()
        chosen[k], free[best] = best, False
    return chosen
