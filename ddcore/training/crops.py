"""The crops of a set in every epoch of a training, and a teacher's answers about them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ddcore.data import CropChanges, Examples, Task, draw_crop_changes, gathered
from ddcore.draws import generator
from ddcore.runtime import sent
from ddcore.training.loop import fewer
from ddcore.training.teacher_networks import TeacherNetworks
from ddcore.training.top_logits import TopLogits

CHUNK = 500
"""Crops that a teacher is asked about at a time, of images of 32 pixels per side."""
Kept = Tensor | TopLogits
"""Logits of N crops over C classes in half precision: ``(N, C)`` float16, or the largest of each crop."""


@dataclass(frozen=True)
class Crops:
    """Which crops of a set there are. They are drawn again whenever they are needed, never stored.

    Attributes:
        seed: of all draws.
        area: the smallest share of a member that a crop shows.
        flip: whether every second crop is mirrored.
        tiles: small images per side of a member, which change places.
        epochs: that have crops of their own; after them the first is used again.
    """

    seed: int
    area: float
    flip: bool
    tiles: int
    epochs: int

    def epoch(self, number: int, task: Task, examples: Examples) -> "CropEpoch":
        """Return the crops of an epoch, counted from 0; they depend on the seed, the epoch and the size of the set.

        Args:
            number: of the epoch.
            task: says how to read the members.
            examples: what `at_hand` returned.
        """
        draws = generator(self.seed, "crops", number % self.epochs)
        changes = draw_crop_changes(len(examples), task.shape[1:], self.area, self.flip, self.tiles, draws)
        return CropEpoch(task, examples, changes)


@dataclass(frozen=True)
class CropEpoch:
    """The crops of all N members in one epoch.

    Attributes:
        task: says how to read the members.
        examples: the members, see `at_hand`.
        changes: of all members, on the host.
    """

    task: Task
    examples: Examples
    changes: CropChanges

    @cached_property
    def there(self) -> CropChanges:
        """The changes on the device of the labels."""
        return self.changes.to(self.examples.y.device)

    def images(self, members: Tensor) -> Tensor:
        """Return the crops of some members: ``(n, C, H, W)`` float32, the same whatever else is in the batch.

        Args:
            members: ``(n,)`` int64 on the CPU.
        """
        device = self.examples.y.device
        both = torch.cat([members, self.changes.partners(members)])
        own, others = self.task.inputs(gathered(self.examples.x, both, device)).tensor_split(2)
        return self.there.changed(own, others, sent(members, device))

    def mixed_labels(self, members: Tensor, classes: int) -> Tensor:
        """Return the hard labels of crops, in proportion to the areas: probabilities ``(n, classes)`` float32.

        Args:
            members: ``(n,)`` int64 on the CPU.
            classes: number of classes.
        """
        y, device = self.examples.y, self.examples.y.device
        partners, share = self.changes.partners(members), self.changes.shares(members)
        own, other = (
            torch.nn.functional.one_hot(y[sent(each, device)], classes).float() for each in (members, partners)
        )
        return own.lerp(other, sent(share, device)[:, None])


def kept(logits: Tensor, top: int) -> Kept:
    """Return what is kept of logits ``(N, C)`` float32: all, or the `top` largest and the sum of the others."""
    if top < logits.shape[1]:
        return TopLogits.of(logits, top)
    largest = torch.finfo(torch.float16).max
    return logits.clamp(-largest, largest).half()


def answers(networks: TeacherNetworks, epoch: CropEpoch, top: int) -> Iterator[tuple[slice, Kept]]:
    """Give a teacher's answers about the crops of all members in their order, chunk by chunk.

    The chunks do not depend on a student's batches, so that live answers are the same bits as stored ones.

    Args:
        networks: of the teacher, on the device of the labels.
        epoch: the crops.
        top: logits that are kept of each.

    Yields:
        The members' places, and what is kept of the answers, on the device.
    """
    size = fewer(CHUNK, epoch.task)
    for begin in range(0, len(epoch.examples), size):
        rows = slice(begin, min(begin + size, len(epoch.examples)))
        images = epoch.images(torch.arange(rows.start, rows.stop))
        yield rows, kept(networks.logits(images), top)


def joined(parts: Sequence[Kept]) -> Kept:
    """Return the answers of several chunks in one."""
    dense = [each for each in parts if isinstance(each, Tensor)]
    return torch.cat(dense) if dense else TopLogits.joined([each for each in parts if isinstance(each, TopLogits)])
