"""What several selectors need: the members' features, and the members with the largest scores."""

from torch import Tensor

from ddcore.data import Tokens
from ddcore.errors import UsageError
from ddcore.problem import Problem
from ddcore.selection.tf_idf import tf_idf
from ddcore.training import teacher_line


def member_features(problem: Problem, selector: str) -> Tensor:
    """Return the features of all training members: ``(N, D)`` float32, rows scaled to length 1.

    They are the teacher's; for texts, where no teacher has features, those of `tf_idf`, fitted to the pool.

    Args:
        problem: gives the members and the teacher.
        selector: that needs them, for complaints.

    Raises:
        UsageError: the members are images, and there is no teacher, or its network has no features.
    """
    task, teacher = problem.task, problem.teacher
    features = None if teacher is None else teacher.features
    if features is None and isinstance(task.train.x, Tokens):
        features = tf_idf(task.train.x, problem.pool)
    if features is None:
        raise UsageError(f"{selector} needs the features of a teacher: {teacher_line(task)}")
    return features / features.norm(dim=1, keepdim=True).clamp(min=1e-12)


def hardest(score: Tensor, part: Tensor, count: int) -> Tensor:
    """Return the `count` members of `part` with the largest scores, largest first; ties go to the earlier member.

    Args:
        score: ``(N,)`` one number for each training member.
        part: ``(P,)`` int64 indices to choose from.
        count: at most P.
    """
    return part[score[part].argsort(descending=True, stable=True)[:count]]
