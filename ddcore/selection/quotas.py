"""How a budget is shared by the classes."""

from torch import Tensor

from ddcore.errors import UsageError
from ddcore.selection.choice import Choice
from ddcore.selection.selected import check_budget
from ddcore.training import Teacher


def class_groups(choice: Choice, balanced: bool) -> list[tuple[Tensor, int]]:
    """Return what to choose from, part by part, and how many of each: ``(members, count)``.

    Args:
        choice: what is asked for.
        balanced: one part a class, all with the same count; otherwise the pool is one part.

    Raises:
        UsageError: the budget is larger than the pool, the classes cannot share it, or one of them is too small.
    """
    task, pool, budget = choice.task, choice.pool, choice.budget
    check_budget(budget, task, len(pool), balanced=balanced)
    if not balanced:
        return [(pool, budget)]
    y = task.train.y[pool]
    groups = []
    for number, name in enumerate(task.classes):
        members, count = pool[y == number], budget // len(task.classes)
        if count > len(members):
            raise UsageError(
                f"--budget {budget} asks for {count} members of class '{name}', which has {len(members)}: "
                "take a smaller budget or --no-balanced"
            )
        groups.append((members, count))
    return groups


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
