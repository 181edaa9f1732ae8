"""sre2l: images that a teacher recognises, and in which its batch norms find the statistics of its training."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from ddcore.data import Box, Task, random_box, viewed
from ddcore.draws import generator
from ddcore.errors import require
from ddcore.methods.teacher_matching import INIT_HELP, KEEP, TeacherMatching, TeacherMatchingRun, shares
from ddcore.options import option
from ddcore.problem import Problem
from ddcore.runtime import Session, sent
from ddcore.synthesis import Preset
from ddcore.training import small_image_recipe, train_command

NOISE = "noise"
CLASSES = 100
"""Most images of a batch, one of each class."""
FIRST = 10.0
"""Weight of the first batch norm; the others have 1."""
ROLLED = 7
"""Images are rolled by at most this part of their side."""


def paper(task: Task, ipc: int) -> Mapping[str, Any]:
    """Return the option values of SRe2L on small images, ``recover_cifar.py`` and ``recover_cifar.sh`` of its code."""
    return {"steps": 1000, "init": NOISE, "image_rate": 0.25, "smallest_crop": 1.0, "validation_networks": 0}


def plus(task: Task, ipc: int) -> Mapping[str, Any]:
    """Return the option values of SRe2L++, ``recover.py`` in Jiacheng8/CV-DD with one network."""
    start = {"init": "rded", "keep": "median"}
    return {"steps": 4000, **start, "image_rate": 0.25, "smallest_crop": 0.08, "validation_networks": 0}


@dataclass(frozen=True)
class SRe2L(TeacherMatching):
    """Batch-norm matching: a teacher recognises the images, and sees the statistics of its training in them.

    In each step every batch, of one image per class, is seen through one random crop, flip and roll. The loss is the
    cross-entropy of a teacher's network, and ``statistics`` times the sum over its batch norms l of
    ``k_l (|mu - mu_l| + |var - var_l|)``. Here mu and var are the mean and the variance of the norm's input in the
    batch, mu_l and var_l are the norm's running statistics; k is 10 for the first norm and 1 for the others.

    Source: Yin et al. 2023, SRe2L, in the form of its code; the start from real crops, and random crops as views of
    small images, are SRe2L++'s, Cui et al. 2025. Deviates: the rate is warmed up over ten steps; images of a data set
    that trainings do not mirror are not mirrored; a view is rolled by up to a seventh of the side everywhere.
    """

    name: ClassVar[str] = "sre2l"
    presets: ClassVar[Mapping[str, Preset]] = {"paper": paper, "plus": plus}

    init: str = option("rded", f"{INIT_HELP}, or noise")
    keep: str = option("median", "--init rded: which crops, by the teacher's loss or at random", choices=KEEP)
    image_rate: float = option(0.25, "learning rate of the images, in standard deviations of a pixel", low=0)
    statistics: float = option(0.01, "weight of the distance of the batch-norm statistics", low=0)
    smallest_crop: float = option(
        0.08, "least share of an image's area that a view shows; 1: the whole", low=0.01, high=1
    )

    def start(self, problem: Problem, session: Session) -> "SRe2LRun":
        """Return noise or real members to begin with.

        Raises:
            UsageError: a name is unknown, the teacher's networks are missing, or have no batch norm.
            DDCoreError: a network of the teacher is damaged.
        """
        return SRe2LRun(self, problem, session)


class SRe2LRun(TeacherMatchingRun):
    """One run."""

    method: SRe2L
    newest: ClassVar[tuple[float, float]] = (0.5, 0.1)

    def __init__(self, method: SRe2L, problem: Problem, session: Session) -> None:
        super().__init__(method, problem, session)
        task = problem.task
        folder = Path("runs") / f"{task.name}-bn"
        require(
            all(_norms(net) for net in self.nets),
            f"sre2l matches the statistics of batch norms, and {self.teacher.net}, the network of {self.teacher.path}, "
            f"has none: make a teacher with {train_command(task, folder, 'convnet-bn')}",
        )
        self.flip = small_image_recipe(task, self.teacher.net, "cpu").changes.flip

    def batches_of(self, y: Tensor) -> list[Tensor]:
        """Return the batches: the first image of each class, the second of each, and so on, at most `CLASSES` each."""
        order = y.argsort(stable=True)
        counts = torch.bincount(y)
        rank = torch.arange(len(y)) - (counts.cumsum(0) - counts)[y[order]]
        return [each for place in range(int(counts.max())) for each in order[rank == place].split(CLASSES)]

    def losses(self, net: nn.Module, step: int, numbers: Sequence[int], x: Tensor) -> Tensor:
        """Return the losses of some batches."""
        counts = [self.sizes[k] for k in numbers]
        views = viewed(x, [self._box(step, k) for k in numbers], counts)
        y = self.y[self.rows(numbers)]
        share = sent(shares(counts), x.device)
        with entering(net) as seen:
            losses = (share * F.cross_entropy(net(views), y, reduction="none")).sum(1)
        for place, (norm, inputs) in enumerate(seen):
            weight = self.method.statistics * (1.0 if place else FIRST)
            losses = losses + weight * distance(norm, inputs, share)
        return losses

    def _first(self, session: Session) -> tuple[Tensor, Tensor]:
        """Return what the images start as, normalised, and their classes, on the CPU."""
        problem = self.problem
        if self.method.init != NOISE:
            return super()._first(session)
        y = torch.arange(len(problem.task.classes)).repeat_interleave(torch.tensor(problem.counts))
        draws = generator(problem.seed, NOISE)
        return torch.randn(problem.budget, *problem.task.shape, generator=draws), y

    def _box(self, step: int, number: int) -> Box:
        size = self.problem.task.shape[1:]
        draws = generator(self.problem.seed, "view", step, number)
        return random_box(size, self.method.smallest_crop, self.flip, max(1, min(size) // ROLLED), draws)


def distance(norm: _BatchNorm, inputs: Tensor, share: Tensor) -> Tensor:
    """Return how far batches are from the statistics of a batch norm: ``(K,)``, lengths over its channels, added.

    Args:
        norm: with running statistics.
        inputs: ``(N, C, ...)``, what enters it.
        share: ``(K, N)``, the weight of each image in the means of each batch.
    """
    assert norm.running_mean is not None and norm.running_var is not None
    # Around the norm's own mean: E(z - m)² - (E z - m)² loses fewer digits than E z² - (E z)².
    centred = inputs.flatten(2) if inputs.ndim > 2 else inputs[..., None]
    centred = centred - norm.running_mean[:, None]
    means, squares = centred.mean(2), centred.square().mean(2)
    off = (share[:, :, None] * means).sum(1)
    variance = (share[:, :, None] * squares).sum(1) - off.square()
    return off.norm(dim=1) + (variance - norm.running_var).norm(dim=1)


@contextmanager
def entering(net: nn.Module) -> Iterator[list[tuple[_BatchNorm, Tensor]]]:
    """Note what enters each batch norm of a network inside a ``with`` block, in the order of the pass."""
    seen: list[tuple[_BatchNorm, Tensor]] = []
    hooks = [
        norm.register_forward_pre_hook(lambda module, inputs: seen.append((module, inputs[0]))) for norm in _norms(net)
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _norms(net: nn.Module) -> list[_BatchNorm]:
    """Return the batch norms of a network that keep statistics."""
    return [each for each in net.modules() if isinstance(each, _BatchNorm) and each.running_mean is not None]
