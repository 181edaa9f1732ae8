"""What several selectors need: a teacher's features, and the members with the largest scores."""

from torch import Tensor

from ddcore.errors import UsageError
from ddcore.training import Teacher


def teacher_features(teacher: Teacher | None, selector: str) -> Tensor:
    """Return the teacher's features ``(N, D)`` float32, rows scaled to length 1.

    Raises:
        UsageError: there is no teacher, or its network has no features.
    """
    if teacher is None or teacher.features is None:
        raise UsageError(f"{selector} needs the features of a teacher: give --teacher a network that has features")
    return teacher.features / teacher.features.norm(dim=1, keepdim=True).clamp(min=1e-12)


def hardest(score: Tensor, part: Tensor, count: int) -> Tensor:
    """Return the `count` members of `part` with the largest scores, largest first; ties go to the earlier member.

    Args:
        score: ``(N,)`` one number for each training member.
        part: ``(P,)`` int64 indices to choose from.
        count: at most P.
    """
    return part[score[part].argsort(descending=True, stable=True)[:count]]
