"""A run that makes one set: synthesise or select, write the set with its views, finish."""

from dataclasses import replace

from ddcore.problem import Problem
from ddcore.runtime import Session
from ddcore.selection import Selector, selected_set
from ddcore.sets import DistilledSet, write_views
from ddcore.synthesis.contract import Method
from ddcore.synthesis.outer_loop import distilled_set, forget_checkpoint


def synthesise(method: Method, problem: Problem, session: Session) -> DistilledSet:
    """Synthesise a set in the session's run folder, write it there and finish the run; a finished run gives its set.

    What is raised is the same as in `distilled_set`.
    """
    if session.finished:
        return DistilledSet.load(session.folder)
    problem = replace(problem, proportions=method.proportions)
    _tell(problem, session)
    small = _finish(distilled_set(method, problem, session), problem, session)
    forget_checkpoint(session)
    return small


def select_set(selector: Selector, problem: Problem, session: Session) -> DistilledSet:
    """Select a set, write it into the session's run folder and finish the run; a finished run gives its set.

    What is raised is the same as in `ddcore.selection.selected_set`.
    """
    if session.finished:
        return DistilledSet.load(session.folder)
    _tell(problem, session)
    return _finish(selected_set(selector, problem, session), problem, session)


def _tell(problem: Problem, session: Session) -> None:
    if problem.teacher is not None and problem.teacher.note:
        session.tell(f"note: {problem.teacher.note}")


def _finish(small: DistilledSet, problem: Problem, session: Session) -> DistilledSet:
    if problem.teacher is not None and problem.teacher.note:
        small = small.described(provenance={"note": problem.teacher.note})
    if session.main:
        small.save(session.folder)
        write_views(small, session.folder, problem.task.tokeniser)
    session.wait()
    if session.run is not None:
        session.run.finish({"members": len(small)})
    return small
