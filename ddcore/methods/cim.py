"""cim: stored images whose enlarged tiles look to a teacher like the real images that they were made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ddcore.data import drawn, strategies
from ddcore.draws import generator
from ddcore.methods.teacher_matching import TeacherMatching, TeacherMatchingRun, shares
from ddcore.nets import need_features
from ddcore.options import later, option
from ddcore.problem import Problem
from ddcore.runtime import Session, sent


@dataclass(frozen=True)
class CIM(TeacherMatching):
    """Information matching: each enlarged tile's features are drawn to those of the tile's own real image.

    A stored image holds factor x factor real crops, made smaller, as tiles. In each step the enlarged tiles of a class
    and the crops at their full size undergo one random change, and a teacher's network gives the features of both. The
    loss is the mean absolute difference between a tile's features and those of its own crop. So the stored images
    come to hold what the teacher sees in images of several times their number.

    Source: Shang et al. 2026, CIM, in the form of ``condense/condense.py``. Deviates: tiles begin as crops, as in the
    paper, where the code takes whole members; Adam without weight decay, its rate let down along a cosine; pixels stay
    within their range; the tiles begin as least-squares reductions.
    """

    name: ClassVar[str] = "cim"

    factor: int = later(option(2, "tiles per side of a stored image; a budget counts stored images", low=2))
    steps: int = option(200, "outer steps", low=1)
    augment: str = option(
        "crop,cutout,flip",
        "Siamese changes to draw from, with commas between: colour, crop, cutout, flip, scale, rotate; or none",
    )

    def start(self, problem: Problem, session: Session) -> "CIMRun":
        """Return real crops, or members, to begin with.

        Raises:
            UsageError: a name is unknown, or the teacher's networks are missing or have no features.
            DDCoreError: a network of the teacher is damaged.
        """
        run = CIMRun(self, problem, session)
        for net in run.nets:
            need_features(net, run.teacher.net, self.name)
        return run


class CIMRun(TeacherMatchingRun):
    """One run.

    Attributes:
        sources: ``(N, C, H, W)`` float32, normalised, the real image of each member.
    """

    method: CIM

    def __init__(self, method: CIM, problem: Problem, session: Session) -> None:
        super().__init__(method, problem, session)
        self.names = strategies(method.augment)
        self.sources = self.x.clone()

    def losses(self, net: nn.Module, step: int, numbers: Sequence[int], x: Tensor) -> Tensor:
        """Return the losses of some batches."""
        counts = [self.sizes[k] for k in numbers]
        x, own = self._changed(step, numbers, counts, (x, self.sources[self.rows(numbers)]))
        with torch.no_grad():
            goal = _features(net, own)
        return (sent(shares(counts), x.device) * (_features(net, x) - goal).abs().mean(1)).sum(1)

    def _changed(
        self, step: int, numbers: Sequence[int], counts: Sequence[int], both: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, ...]:
        """Return members and their sources, those of a batch under one change."""
        if not self.names:
            return both
        keys = [generator(self.problem.seed, "change", step, k) for k in numbers]
        changes = drawn(self.names, self.problem.task.shape, keys).to(self.x.device)
        of = sent(torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)), self.x.device)
        return tuple(changes.together(each, of, [len(each)]) for each in both)


def _features(net: Any, x: Tensor) -> Tensor:
    rows: Tensor = net.features(x)
    return rows.flatten(1)
