"""Real members that something else begins with: any selector, with its default options."""

from dataclasses import replace

from torch import Tensor

from ddcore.errors import known, require
from ddcore.problem import Problem
from ddcore.runtime import Session
from ddcore.selection.selector import Selector
from ddcore.training import teacher_line


def starting_selector(name: str, flag: str) -> Selector:
    """Return the selector of this name with its default options.

    Args:
        name: in the table of selectors.
        flag: the option that names it; ``--start`` of an agent cannot name the agent.

    Raises:
        UsageError: there is no such selector.
    """
    # The table imports every selector, and one of them this file.
    from ddcore.selection.registry import SELECTORS

    names = [other for other in SELECTORS if (flag, other) != ("--start", "rl-agent")]
    return SELECTORS[known(f"selector of {flag}", name, names)]()


def starting_members(name: str, problem: Problem, session: Session, flag: str = "--init") -> Tensor:
    """Return the members that a selector chooses, in the problem's proportions: ``(budget,)`` int64 training indices.

    Args:
        name: of the selector.
        problem: what is asked for.
        session: whose processes may share the work; its progress is not called.
        flag: the option that names the selector, for complaints.

    Raises:
        UsageError: there is no such selector, it does not read this kind of task, or its teacher is missing.
    """
    selector = starting_selector(name, flag)
    task = problem.task
    require(task.kind in selector.kinds, f"{flag} {name} does not read {task.kind}: {flag} random does")
    require(
        problem.teacher is not None or not selector.needs_teacher(task.kind),
        f"{flag} {name} needs --teacher RUN_DIR: {teacher_line(task)}",
    )
    return selector.select(problem, replace(session, progress=None))
