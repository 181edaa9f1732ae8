"""A teacher's saved networks, for images that are not among the training members, such as crops."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ddcore.data import Scale, Task
from ddcore.errors import UsageError, require
from ddcore.nets import net_of_file
from ddcore.runtime import autocast
from ddcore.training.saved_networks import load_networks, teacher_line
from ddcore.training.step import memory_format
from ddcore.training.teacher import Teacher

CLOSE = 0.001
"""By how much constants of a normalisation may differ, on the 0–1 pixel scale, because copies of a data set do."""


@dataclass(frozen=True)
class TeacherNetworks:
    """The networks of a teacher, in evaluation mode and without gradients.

    Attributes:
        networks: whose logits are averaged.
    """

    networks: Sequence[nn.Module]

    def to(self, device: torch.device | str) -> "TeacherNetworks":
        """Move the networks to a device and return them."""
        return TeacherNetworks([each.to(device) for each in self.networks])

    @torch.no_grad()
    def logits(self, x: Tensor) -> Tensor:
        """Return the mean logits: ``(N, C)`` float32.

        Args:
            x: ``(N, C, H, W)`` float32, normalised as the networks' training images were, on their device.
        """
        total: Tensor | None = None
        for each in self.networks:
            with autocast(x.device):
                logits = each(x.contiguous(memory_format=memory_format(each))).float()
            total = logits if total is None else total + logits
        assert total is not None
        return total / len(self.networks)


def teacher_networks(teacher: Teacher | None, task: Task, what: str, asked: Sequence[str] = ()) -> TeacherNetworks:
    """Read the networks in a teacher's run folder, ordered by seed.

    Args:
        teacher: read by `load_teacher` for this task, which compares classes and data.
        task: the data set.
        what: needs them, for messages.
        asked: networks that the user names: a custom network that the teacher's file names is run only if it is one
            of them.

    Raises:
        UsageError: there is no teacher, its folder holds no networks for this task, they are not trained by gradients,
            or they were trained on images of another normalisation.
        DDCoreError: a file is damaged.
    """
    if teacher is None or teacher.folder is None:
        raise UsageError(f"{what} asks the networks of a teacher: {teacher_line(task)}")
    if teacher.scale is not None:
        check_scale(teacher.scale, task, f"the teacher {teacher.folder}")
    networks = load_networks(teacher.folder, net_of_file(teacher.net, task, asked, teacher.path), task)
    return TeacherNetworks([each.requires_grad_(False) for each in networks])


def check_scale(scale: Scale, task: Task, what: str) -> None:
    """Refuse something whose images are normalised by other constants than a task's.

    Raises:
        UsageError: mean or standard deviation of a channel differ by more than `CLOSE`.
    """
    pairs = [*zip(scale.mean, task.mean, strict=False), *zip(scale.std, task.std, strict=False)]
    same = len(scale.mean) == len(task.mean) and all(math.isclose(a, b, rel_tol=0, abs_tol=CLOSE) for a, b in pairs)
    require(
        same,
        f"{what} reads images normalised by mean {_shown(scale.mean)} and standard deviation {_shown(scale.std)}; "
        f"{task.name} has {_shown(task.mean)} and {_shown(task.std)}: train a teacher on these data",
    )


def _shown(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
