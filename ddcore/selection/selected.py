"""From chosen members to a distilled set."""

from dataclasses import replace

from torch import Tensor

from ddcore.data import Examples
from ddcore.errors import require
from ddcore.options import flat
from ddcore.problem import Problem
from ddcore.runtime import Session
from ddcore.selection.selector import Selection, Selector
from ddcore.sets import DistilledSet, Origin
from ddcore.training import blended, recorded_recipes, soft_examples


def selected_set(selector: Selector, problem: Problem, session: Session) -> DistilledSet:
    """Let a selector choose from the problem's pool and return its choice as a set.

    Args:
        selector: with its options, which decide on the labels and on the proportions of the classes.
        problem: what is asked for.
        session: gives the processes and the recipes' sizes.

    Raises:
        UsageError: the budget cannot be had, or a teacher or its networks are missing.
    """
    selector.labels.need(problem.teacher)
    problem = replace(problem, proportions=selector.proportions)
    selection = selector.selection(problem, session)
    task, teacher = problem.task, problem.teacher
    members = task.train[selection.members]
    options = {**flat(selector), "budget": problem.budget, "seed": problem.seed}
    provenance = {"source": task.source, "teacher": None if teacher is None else teacher.net, **selection.notes}
    texts = () if members.source is None else members.source.load()
    origin = Origin.of(task, selector.name, options, provenance, texts)
    small = DistilledSet(
        kind="images" if task.kind == "images" else "tokens",
        x=members.x if selection.pixels is None else selection.pixels,
        y=members.y,
        origin=replace(origin, tiles=selection.tiles),
        indices=selection.members if selection.pixels is None else None,
        scale=task.scale,
        recipes=recorded_recipes(task, problem.budget, session.profile, session.quick),
    )
    if selector.labels.kind != "soft":
        return small
    soft = blended(_logits(small, selection, problem), members.y, selector.labels)
    return replace(small, soft=soft, temperature=selector.labels.temperature)


def _logits(small: DistilledSet, selection: Selection, problem: Problem) -> Tensor:
    """Return the teacher's logits ``(N, C)`` of what the set holds: of pixels that are no members by its networks."""
    teacher = problem.teacher
    assert teacher is not None
    if selection.pixels is None:
        return teacher.logits[selection.members]
    said: Examples | None = soft_examples(small, problem.task, teacher, 1.0, problem.device)
    require(said is not None, "soft labels of crops need the networks of a teacher: give --teacher RUN_DIR")
    assert said is not None and said.soft is not None
    return said.soft
