"""From chosen indices to a distilled set, and the checks before choosing."""

import dataclasses
from typing import Any

import torch

from ddcore.data import Inputs, Task
from ddcore.errors import UsageError
from ddcore.runtime import Exchange, Progress
from ddcore.selection.choice import Choice
from ddcore.sets import DistilledSet, Origin, Scale
from ddcore.training import Teacher


def check_budget(budget: int, task: Task, available: int, *, balanced: bool) -> None:
    """Refuse a number of members that cannot be had.

    Args:
        budget: members in all.
        task: the data set.
        available: members to choose from.
        balanced: whether every class must get the same number of members.

    Raises:
        UsageError: the budget is larger than the pool, or cannot be shared by the classes.
    """
    classes = len(task.classes)
    if budget > available:
        raise UsageError(f"--budget {budget} is more than the {available} members of {task.name} to choose from")
    if balanced and budget % classes:
        low, high = budget - budget % classes, budget - budget % classes + classes
        near = f"{low} or {high}" if low else f"{high}"
        raise UsageError(f"--budget {budget} cannot be shared evenly by {classes} classes: take {near}")


def member_set(
    task: Task,
    chosen: torch.Tensor,
    method: str,
    labels: str,
    temperature: float,
    teacher: Teacher | None,
    options: dict[str, Any],
    teacher_share: float = 1.0,
) -> DistilledSet:
    """Return real members as a distilled set.

    Args:
        task: the data set.
        chosen: ``(N,)`` int64 indices into the training set.
        method: what chose them.
        labels: ``hard`` (the data's) or ``soft`` (the teacher's logits).
        temperature: of the soft labels.
        teacher: needed for soft labels.
        options: recorded with the set.
        teacher_share: how much of a soft label is the teacher's; the rest is the data's own label.
    """
    members = task.train[chosen]
    soft = None
    if labels == "soft" and teacher is not None:
        soft = blended(teacher.logits[chosen], members.y, temperature, teacher_share)
    x: Inputs = members.x
    return DistilledSet(
        kind="images" if task.kind == "images" else "tokens",
        x=x,
        y=members.y,
        origin=Origin(
            task.name,
            task.classes,
            method,
            options,
            {"source": task.source, "teacher": None if teacher is None else teacher.net},
        ),
        scale=Scale.of(task),
        soft=soft,
        temperature=temperature if soft is not None else 1.0,
        indices=chosen,
    )


def blended(logits: torch.Tensor, y: torch.Tensor, temperature: float, teacher_share: float) -> torch.Tensor:
    """Return logits whose softmax at `temperature` is the teacher's, mixed with the data's labels.

    Args:
        logits: ``(N, C)`` float32, the teacher's.
        y: ``(N,)`` int64.
        temperature: of the soft labels.
        teacher_share: weight of the teacher; 1 returns `logits` as they are.
    """
    if teacher_share == 1:
        return logits
    own = torch.nn.functional.one_hot(y, logits.shape[1])
    mixed = teacher_share * (logits / temperature).softmax(1) + (1 - teacher_share) * own
    return temperature * mixed.clamp(min=1e-8).log()


def selected_set(
    selector: Any,
    name: str,
    task: Task,
    budget: int,
    labels: str,
    temperature: float,
    teacher: Teacher | None,
    seed: int,
    device: torch.device,
    progress: Progress | None = None,
    teacher_share: float = 1.0,
    exchange: Exchange | None = None,
    pool: torch.Tensor | None = None,
) -> DistilledSet:
    """Let a selector choose and return its choice as a set.

    From the whole training set, unless a pool is given: its settings were chosen by validation, so the validation
    members may now be chosen too. Methods that start from selected members give the pool ``task.fit`` instead, and so
    does a comparison, whose ways all see the same members.
    """
    pool = torch.arange(len(task.train)) if pool is None else pool
    choice = Choice(task, pool, budget, seed, device, teacher, progress, exchange)
    chosen = selector.select(choice)
    options = {**dataclasses.asdict(selector), "budget": budget, "seed": seed}
    made = member_set(task, chosen, name, labels, temperature, teacher, options, teacher_share)
    return made.described(provenance=choice.notes)
