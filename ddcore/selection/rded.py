"""RDED: crops of real images that a teacher finds easy, alone or several in one image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ddcore.data import Mosaics, Task, cropped, draw_boxes, padded, tile_size
from ddcore.draws import generator, permutation
from ddcore.errors import require
from ddcore.options import option
from ddcore.problem import Problem
from ddcore.runtime import Session
from ddcore.selection.selector import Selection, Selector
from ddcore.training import fewer, teacher_networks

CANDIDATES = 300
SINGLE = 64
"""Side of images, in pixels, up to which a member is one crop."""
CHUNK = 250
"""Crops that the teacher is asked about at a time, of images of 32 pixels per side.

Five of 224 pixels: on a CPU, a network takes half the time per image of what it takes in batches of 20.
"""
Loss = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class RDED(Selector):
    """Crops of real images that the teacher finds easiest; several of them make one member where images are large.

    Random images of each class give random crops. Each image keeps the crop with the lowest cross-entropy under the
    teacher, and the crops with the lowest of all become the members: alone, or in a grid of factor x factor. The
    crops of a grid are scored as the paper's program does, with zeros around them.

    Source: Sun et al. 2024; LINs-lab/RDED, ``synthesize/``. Deviates: pixels are kept without loss, not as JPEG; a
    factor that does not divide the side is refused; ``--keep`` offers other crops than the easiest.
    """

    name: ClassVar[str] = "rded"
    teacher_for: ClassVar[tuple[str, ...]] = ("images",)

    keep: str = option(
        "easiest",
        "which crops become members: by the teacher's loss, or at random, without a teacher, as a control",
        choices=("easiest", "median", "hardest", "random"),
    )
    factor: int | None = option(
        None,
        f"crops per side of a member (default: 1 for images of up to {SINGLE} pixels per side, otherwise 2)",
        low=1,
        high=16,
    )
    candidates: int | None = option(
        None, f"images per class that give crops (default: {CANDIDATES}, or all of a smaller class)", low=1, high=10**9
    )
    crops: int = option(5, "random crops of each of these images, of which one is kept", low=1, high=1000)

    def needs_teacher(self, kind: str) -> bool:
        """Return whether it cannot do without a teacher: to choose, or for the labels."""
        return self.labels.kind == "soft" or (kind in self.teacher_for and self.keep != "random")

    def selection(self, problem: Problem, session: Session) -> Selection:
        """Return the members' first sources with the members' own pixels, class after class.

        Each source gives one crop. The notes hold all crops: of each member its sources, and the top, left, height and
        width of a box in each.

        Raises:
            UsageError: as `mosaics`.
        """
        crops = self.mosaics(problem, session)
        pixels = crops.pixels(problem.task.train.x)  # type: ignore[arg-type]
        return Selection(crops.table[:, 0, 0], {"crops": crops.table.tolist()}, pixels, crops.factor)

    def select(self, problem: Problem, session: Session) -> Tensor:
        """Return the real members that the first crop of each member comes from: ``(budget,)`` int64.

        Raises:
            UsageError: as `mosaics`.
        """
        return self.mosaics(problem, session).table[:, 0, 0]

    def mosaics(self, problem: Problem, session: Session) -> Mosaics:
        """Return the crops of every member, class after class, easiest first unless they are random.

        The processes share the classes.

        Args:
            problem: what is asked for; its teacher is read for the networks in its folder.
            session: whose processes share the classes.

        Raises:
            UsageError: the budget cannot be had from the pool, the factor does not divide the images' sides, a class
                has fewer images than candidates, there are fewer candidates than crops are needed, or the teacher or
                its networks are missing.
        """
        task, groups = problem.task, problem.groups()
        factor = self._factor(task)
        counts = self._candidates(task, [(members, count * factor**2) for members, count in groups])
        loss = None if self.keep == "random" else self._loss(problem)
        size = max(1, fewer(CHUNK, task) // self.crops)

        def of(k: int) -> Tensor:
            members, count = groups[k]
            sources = members[permutation(len(members), problem.seed, "rded", k)[: counts[k]]]
            boxes = draw_boxes((counts[k], self.crops), task.shape[1:], generator(problem.seed, "rded crops", k))
            table = torch.cat([sources[:, None, None].expand(-1, self.crops, 1), boxes], 2)
            best = table[:, 0]
            if loss is not None:
                losses = torch.cat([loss(part) for part in table.split(size)])
                smallest, place = losses.min(1)
                best = table[torch.arange(len(table)), place][smallest.argsort(stable=True)]
            session.report(k + 1, len(groups))
            # Member m has the crops m, count + m, 2 count + m …: its first is easier than all second ones.
            return self._kept(best, count * factor**2).view(factor**2, count, 5).transpose(0, 1).contiguous()

        return Mosaics(torch.cat(session.each(len(groups), of)))

    def _kept(self, best: Tensor, count: int) -> Tensor:
        """Return `count` of the crops ``(P, 5)``, which are sorted by their loss."""
        first = {"median": (len(best) - count) // 2, "hardest": len(best) - count}.get(self.keep, 0)
        chosen = best[first : first + count]
        return chosen.flip(0) if self.keep == "hardest" else chosen

    def _factor(self, task: Task) -> int:
        height, width = task.shape[1:]
        factor = self.factor or (1 if max(height, width) <= SINGLE else 2)
        require(
            height % factor == 0 and width % factor == 0,
            f"--factor {factor} does not divide images of {height}x{width}: take another",
        )
        return factor

    def _candidates(self, task: Task, groups: list[tuple[Tensor, int]]) -> list[int]:
        """Return how many images of each class give crops, of members ``(P,)`` and the crops that are needed."""
        counts = []
        for members, needed in groups:
            name, count = task.classes[int(task.train.y[members[0]])], self.candidates or CANDIDATES
            require(
                self.candidates is None or count <= len(members),
                f"--candidates {count}: class '{name}' has {len(members)} images to choose from",
            )
            count = min(count, len(members))
            require(
                needed <= count,
                f"class '{name}' needs {needed} crops of different images and has {count} candidates: take a smaller "
                "--budget or --factor, or more --candidates",
            )
            counts.append(count)
        return counts

    def _loss(self, problem: Problem) -> Loss:
        """Return what gives the teacher's loss of crops ``(n, K, 5)``: ``(n, K)`` float32 on the CPU."""
        task, device = problem.task, problem.device
        networks = teacher_networks(problem.teacher, task, "rded").to(device)
        size = tile_size(task.shape[1:], self._factor(task))

        def loss(part: Tensor) -> Tensor:
            x = task.train.x[part[:, 0, 0]]
            assert isinstance(x, Tensor)
            boxes = part[..., 1:].tolist()
            crops = torch.stack([cropped(x[i], box, size) for i, own in enumerate(boxes) for box in own])
            y = task.train.y[part[:, :, 0].flatten()].to(device)
            logits = networks.logits(padded(task.inputs(crops.to(device)), task.shape[1:]))
            return F.cross_entropy(logits, y, reduction="none").view(part.shape[:2]).cpu()

        return loss
