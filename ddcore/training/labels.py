"""The labels that a small set is learned with: the data's own, or a teacher's."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ddcore.errors import UsageError
from ddcore.options import option
from ddcore.training.teacher import Teacher

LABELS = ("hard", "soft", "learned")


@dataclass(frozen=True)
class Labels:
    """What kind of labels a set has."""

    kind: str = option(
        "hard", "hard: the data's; soft: a teacher's, fixed; learned: like the images", choices=LABELS, flags="labels"
    )
    temperature: float = option(4.0, "of a teacher's labels", low=0.01)
    teacher_share: float = option(1.0, "how much of a soft label is the teacher's, not the data's", low=0, high=1)

    def need(self, teacher: Teacher | None) -> None:
        """Refuse soft labels without a teacher.

        Raises:
            UsageError: there is none.
        """
        if self.kind == "soft" and teacher is None:
            raise UsageError("--labels soft needs --teacher RUN_DIR")


def blended(logits: Tensor, y: Tensor, labels: Labels) -> Tensor:
    """Return logits whose softmax at the labels' temperature is the teacher's, mixed with the data's labels.

    Args:
        logits: ``(N, C)`` float32, the teacher's.
        y: ``(N,)`` int64.
        labels: their temperature, and the teacher's share; a share of 1 returns `logits` as they are.
    """
    if labels.teacher_share == 1:
        return logits
    share = labels.teacher_share
    mixed = share * (logits / labels.temperature).softmax(1) + (1 - share) * one_hot(y, logits.shape[1])
    return labels.temperature * torch.clamp(mixed, min=1e-8).log()
