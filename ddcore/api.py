"""The public functions: load a data set, make a small set of it, judge it. The scripts call exactly these."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from ddcore import data
from ddcore.data import Task
from ddcore.errors import known, require
from ddcore.methods import METHODS
from ddcore.options import flat
from ddcore.problem import Problem
from ddcore.runtime import Alone, JSONObject, Run, Session, precise, shown
from ddcore.selection import SELECTORS, Selector
from ddcore.sets import DistilledSet, load_sets
from ddcore.synthesis import Method, select_set, synthesise
from ddcore.training import Evaluation, Teacher, evaluation_of, inputs_of, load_teacher, teacher_line, train_command

Out = Path | str | Session | None


def distill(
    task: Task,
    budget: int,
    method: str | Method = "dm",
    *,
    teacher: Teacher | Path | str | None = None,
    seed: int = 0,
    out: Out = None,
) -> DistilledSet:
    """Return a small synthetic set that stands for a training set.

    Args:
        task: the data set, see `load_task`.
        budget: members in all; stored images in all where the method's factor is over 1.
        method: its name, or its dataclass of options.
        teacher: or its run folder, for methods and labels that need one.
        seed: of all draws.
        out: the run folder, in which an interrupted run is resumed; None for a temporary one. A `Session` says more.

    Raises:
        UsageError: the budget cannot be had, the method does not read this data, or something that it needs is missing.
        DDCoreError: the run diverged, or the folder cannot be written.

    Example:
        >>> import ddcore
        >>> from ddcore.methods import DM
        >>> task = ddcore.load_task("digits")
        >>> small = ddcore.distill(task, 20, DM(net="mlp", steps=2))
        >>> len(small), small.inputs().shape
        (20, torch.Size([20, 1, 8, 8]))
    """
    maker = METHODS[known("method", method, list(METHODS))]() if isinstance(method, str) else method
    problem = problem_of(task, budget, maker, teacher)
    inputs = inputs_of(task, {**flat(maker), "teacher": teacher})
    with _session(out, maker.name, _asked(maker, problem, seed), inputs, maker.precision) as session:
        problem = replace(problem, seed=seed, device=session.device)
        return synthesise(maker.quick() if session.quick else maker, problem, session)


def select(
    task: Task,
    budget: int,
    selector: str | Selector = "random",
    *,
    teacher: Teacher | Path | str | None = None,
    seed: int = 0,
    out: Out = None,
) -> DistilledSet:
    """Return a small set of real members, chosen from the whole training set.

    The settings of the selectors were chosen by validation, so the members of the validation split may be chosen, too.

    Args:
        task: the data set, see `load_task`.
        budget: members in all.
        selector: its name, or its dataclass of options, the kind of labels among them.
        teacher: or its run folder, for selectors and labels that need one.
        seed: of all draws.
        out: the run folder; None for a temporary one. A `Session` says more.

    Raises:
        UsageError: the budget cannot be had, the selector does not read this data, or a teacher is missing.
        DDCoreError: the folder cannot be written.

    Example:
        >>> import ddcore
        >>> small = ddcore.select(ddcore.load_task("digits"), 50, "random", seed=1)
        >>> small.labels, len(small.indices)
        ('hard', 50)
    """
    maker = SELECTORS[known("selector", selector, list(SELECTORS))]() if isinstance(selector, str) else selector
    problem = problem_of(task, budget, maker, teacher)
    inputs = inputs_of(task, {**flat(maker), "teacher": teacher})
    with _session(out, maker.name, _asked(maker, problem, seed), inputs) as session:
        return select_set(maker, replace(problem, seed=seed, device=session.device), session)


def evaluate(
    small: DistilledSet | Path | str,
    task: Task,
    how: Evaluation | None = None,
    *,
    seed: int = 0,
    out: Out = None,
) -> JSONObject:
    """Train fresh networks on a set, test them on the real test set, and return their scores.

    Args:
        small: the set, or its folder; a folder of seed-0, seed-1 … pools the sets in it.
        task: the data set that the set stands for.
        how: networks, seeds, protocol and labels; None for the data set's own network, once.
        seed: of the first network.
        out: the run folder, in which an interrupted run is resumed; None for a temporary one. A `Session` says more.

    Returns:
        ``{"protocol", "nets"}``; ``nets[name]["accuracy"]["mean"]`` is a fraction. Empty except on the main process.

    Raises:
        UsageError: the set does not fit the data, or a network is unknown.
        DDCoreError: a set is damaged, a training diverged, or the folder cannot be written.

    Example:
        >>> import ddcore
        >>> task = ddcore.load_task("digits")
        >>> scores = ddcore.evaluate(ddcore.select(task, 50), task, ddcore.Evaluation(nets="mlp"))
        >>> [of_mlp] = scores["nets"].values()
        >>> of_mlp["net"]
        'mlp'
    """
    folder = Path(small) if isinstance(small, Path | str) else Path(small.method)
    sets = [small] if isinstance(small, DistilledSet) else load_sets(folder)
    evaluation = evaluation_of(how or Evaluation(), sets, task, seed, folder)
    inputs = inputs_of(task, {**flat(evaluation.options), "set": small}, tested=True)
    options = {**flat(evaluation.options), "set": str(folder), "seed": seed}
    with _session(out, "evaluation", options, inputs) as session:
        return evaluation.run(session)


def load_task(name: str, folder: Path | str | None = None) -> Task:
    """Return a data set, downloaded from its publisher if it is not there.

    Args:
        name: such as ``fashion_mnist`` or ``imdb``; ``images:DIR``, ``text:FILE`` or ``hf:WHERE`` for your own.
        folder: of the data sets; None for $DDCORE_DATA, otherwise ``./data``.

    Raises:
        UsageError: no data set has this name, or your own cannot be used as it is.
        DDCoreError: a file is missing and cannot be downloaded, or is damaged.

    Example:
        >>> import ddcore
        >>> ddcore.load_task("digits").shape
        (1, 8, 8)
    """
    where = data.data_folder() if folder is None else Path(folder)
    return data.load_task(name, where, shown("images", Session()))


def problem_of(
    task: Task, budget: int, maker: Method | Selector, teacher: Teacher | Path | str | None = None
) -> Problem:
    """Return what a method or selector is asked for, once it is clear that it can begin.

    A method starts from members outside the validation split, a selector chooses from the whole training set.

    Raises:
        UsageError: the budget cannot be had, the data is of another kind, or a teacher is missing or a stranger's.
    """
    require(task.kind in maker.kinds, f"'{maker.name}' does not read {task.kind}; {_others(task, budget, maker)}")
    require(
        teacher is not None or not maker.needs_teacher(task.kind),
        f"{maker.name} needs --teacher RUN_DIR: {teacher_line(task)}",
    )
    problem = Problem(task, budget, maker.pool_of(task), proportions=maker.proportions)
    trained = load_teacher(Path(teacher), task) if isinstance(teacher, Path | str) else teacher
    return replace(problem, teacher=trained)


def _others(task: Task, budget: int, maker: Method | Selector) -> str:
    """Return what reads the task in place of a method or selector that does not, and the command of one."""
    if isinstance(maker, Selector):
        names = [name for name, selector in SELECTORS.items() if task.kind in selector.kinds]
        command, name = "python scripts/select_subset.py random", "random"
    else:
        names = [name for name, method in METHODS.items() if task.kind in method.kinds]
        command, name = "python scripts/distill.py dm", "dm"
        if task.kind == "text":
            words = Path("runs") / f"{task.name}-words"
            command = f"{train_command(task, words, 'bag')} && {command} --embedding {words}"
    out = f"runs/{task.name}-{name}"
    return f"these do: {', '.join(names)}; for example: {command} {task.flag} --budget {budget} --out {out}"


def _asked(maker: Method | Selector, problem: Problem, seed: int) -> JSONObject:
    """Return what decides the result of a run."""
    task = problem.task
    content = {"content": task.content} if task.content else {}
    return {**flat(maker), "dataset": task.name, **content, "budget": problem.budget, "seed": seed}


@contextmanager
def _session(
    out: Out, name: str, options: JSONObject, inputs: dict[str, str], precision: str = "tf32"
) -> Iterator[Session]:
    """Open the session that was asked for, or one in a folder, with a bar, on the device that is there."""
    if isinstance(out, Session):
        yield out
        return
    gpu = torch.cuda.is_available()
    alone = Alone(torch.device("cuda" if gpu else "cpu"))
    with tempfile.TemporaryDirectory(prefix="ddcore-") as temporary, precise(precision):
        folder = Path(temporary) / name if out is None else Path(out)
        options = {key: str(value) if isinstance(value, Path) else value for key, value in options.items()}
        session = Session(Run.start(folder, name, options, inputs=inputs), alone, "gpu" if gpu else "cpu")
        yield shown(name, session)
