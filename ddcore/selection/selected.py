"""From chosen members to a distilled set."""

from dataclasses import replace

from ddcore.options import flat
from ddcore.problem import Problem
from ddcore.runtime import Session
from ddcore.selection.selector import Selector
from ddcore.sets import DistilledSet, Origin
from ddcore.training import blended, recorded_recipes


def selected_set(selector: Selector, problem: Problem, session: Session) -> DistilledSet:
    """Let a selector choose from the problem's pool and return its choice as a set.

    Args:
        selector: with its options, which decide on the labels and on the proportions of the classes.
        problem: what is asked for.
        session: gives the processes and the recipes' sizes.

    Raises:
        UsageError: the budget cannot be had, or a teacher is missing.
    """
    labels = selector.labels
    labels.need(problem.teacher)
    problem = replace(problem, proportions=selector.proportions)
    selection = selector.selection(problem, session)
    task, teacher = problem.task, problem.teacher
    members = task.train[selection.members]
    soft = None
    if labels.kind == "soft" and teacher is not None:
        soft = blended(teacher.logits[selection.members], members.y, labels)
    options = {**flat(selector), "budget": problem.budget, "seed": problem.seed}
    provenance = {"source": task.source, "teacher": None if teacher is None else teacher.net, **selection.notes}
    texts = () if members.source is None else members.source.load()
    return DistilledSet(
        kind="images" if task.kind == "images" else "tokens",
        x=members.x,
        y=members.y,
        origin=Origin.of(task, selector.name, options, provenance, texts),
        soft=soft,
        temperature=labels.temperature if soft is not None else 1.0,
        indices=selection.members,
        scale=task.scale,
        recipes=recorded_recipes(task, problem.budget, session.profile, session.quick),
    )
