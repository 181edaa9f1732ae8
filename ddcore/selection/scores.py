"""What several selectors need: whose features, members class by class, and those with the largest scores."""

from collections.abc import Callable

import torch
from torch import Tensor

from ddcore.data import Tokens
from ddcore.errors import UsageError
from ddcore.problem import Problem
from ddcore.runtime import Session
from ddcore.selection.features import Features
from ddcore.selection.tf_idf import tf_idf
from ddcore.training import teacher_line


def member_features(problem: Problem, selector: str) -> Features:
    """Return the features of all training members.

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
    return Features(features)


def by_class(problem: Problem, session: Session, choose: Callable[[int, Tensor, int], Tensor]) -> Tensor:
    """Return what is chosen from each class, in their order: ``(budget,)`` int64; the processes share the classes.

    Args:
        problem: gives the classes' members.
        session: whose processes share the classes.
        choose: is given the number of the group, its members ``(P,)`` int64 and how many to choose, and returns their
            rows: ``(count,)`` int64.

    Raises:
        UsageError: the budget cannot be had from the pool.
    """
    groups = problem.groups()

    def of(k: int) -> Tensor:
        members, count = groups[k]
        chosen = members[choose(k, members, count).cpu()]
        session.report(sum(each for _, each in groups[: k + 1]), problem.budget)
        return chosen

    return torch.cat(session.each(len(groups), of))


def hardest(score: Tensor, part: Tensor, count: int) -> Tensor:
    """Return the `count` members of `part` with the largest scores, largest first; ties go to the earlier member.

    Args:
        score: ``(N,)`` one number for each training member.
        part: ``(P,)`` int64 indices to choose from.
        count: at most P.
    """
    return part[score[part].argsort(descending=True, stable=True)[:count]]
