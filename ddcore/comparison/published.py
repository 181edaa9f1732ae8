"""Published figures repeated: each method as its paper makes a set, judged under its own protocol, in little time.

A cell is a method on a data set at a number of images per class. It has as many steps as fit into 15 minutes of one
core at 1 image per class, and into 60 at 10; real batches are smaller and steps fewer than published.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ddcore.data import Task
from ddcore.draws import FRESH
from ddcore.methods import METHODS
from ddcore.options import changed, flat
from ddcore.problem import Problem
from ddcore.runtime import Bar, JSONObject, Run, Schema, Session, read_object, write_json
from ddcore.sets import DistilledSet
from ddcore.synthesis import Method, synthesise
from ddcore.training import PROTOCOLS, Evaluation, evaluation_of, read_scores

PRESET = "paper"
SPENT: Schema = {"cpu_seconds": float}
WHERE_NAMES = ("commit", "dirty", "device", "cpu", "precision", "started")
WHERE: Schema = {f"{name}?": bool if name == "dirty" else str for name in WHERE_NAMES}


@dataclass(frozen=True)
class PublishedCell:
    """One published figure to repeat.

    Attributes:
        dataset: its name.
        ipc: images per class.
        paper: the method's name in its paper.
        method: its name here.
        protocol: that judges the sets.
        published_steps: outer steps of the paper's code.
        options: what differs from the preset ``paper``, by option name; ``steps`` among them.
        sets: made, each from a seed of its own.
        networks: fresh networks on each set.
    """

    dataset: str
    ipc: int
    paper: str
    method: str
    protocol: str
    published_steps: int
    options: Mapping[str, Any] = field(default_factory=dict)
    sets: int = 2
    networks: int = 5

    @property
    def name(self) -> str:
        """What the cell is called: data set, images per class, method."""
        return f"{self.dataset}-{self.ipc}-{self.method}"

    @property
    def steps(self) -> int:
        """Outer steps that are taken."""
        return int(self.options["steps"])

    def resized(self, steps: int | None, real_batch: int | None) -> "PublishedCell":
        """Return the cell with another number of outer steps, and of real members per step; None for its own."""
        sizes = {"steps": steps, "real_batch": real_batch}
        return replace(self, options={**self.options, **{k: size for k, size in sizes.items() if size is not None}})

    def maker(self, task: Task) -> Method:
        """Return the method with its options."""
        return changed(METHODS[self.method](), {**self._preset(task), **self.options})

    def real_share(self, task: Task) -> float:
        """Return the number of real images read, divided by the number that the paper's code reads."""
        preset = self._preset(task)
        real_batch = self.options.get("real_batch", preset["real_batch"])
        return float(self.steps * real_batch / (self.published_steps * preset["real_batch"]))

    def _preset(self, task: Task) -> Mapping[str, Any]:
        return METHODS[self.method].preset(PRESET, task, self.ipc * len(task.classes))


# Steps that take about 15 minutes on one core, at 2.6, 2.5, 0.77 and 0.5 seconds each.
_DC, _DSA, _DM, _FREPO = (
    {"steps": steps, "real_batch": real} for steps, real in ((340, 32), (350, 32), (1150, 32), (1800, 128))
)

PUBLISHED_CELLS: dict[str, PublishedCell] = {
    cell.name: cell
    for cell in (
        PublishedCell("mnist", 1, "DC", "dc", "dc", 1000, _DC),
        PublishedCell("mnist", 1, "DSA", "dsa", "dsa", 1000, _DSA),
        PublishedCell("fashion_mnist", 1, "DC", "dc", "dc", 1000, _DC),
        PublishedCell("fashion_mnist", 1, "DSA", "dsa", "dsa", 1000, _DSA),
        PublishedCell("fashion_mnist", 1, "DM", "dm", "dsa", 20000, _DM),
        PublishedCell("fashion_mnist", 1, "FRePo", "frepo", "frepo", 500000, _FREPO),
        PublishedCell("fashion_mnist", 10, "DC", "dc", "dc", 10000, {"steps": 80, "real_batch": 64}, 1, 2),
        PublishedCell("fashion_mnist", 10, "DM", "dm", "dsa", 20000, {"steps": 2000, "real_batch": 32}, 1, 2),
    )
}
"""The cells by name."""


def run_cell(cell: PublishedCell, task: Task, session: Session) -> JSONObject:
    """Make the sets of a cell, judge them, and return the record of it; what is finished is not done again.

    Args:
        cell: what to repeat.
        task: its data set.
        session: in whose run folder the sets and the evaluation lie.

    Returns:
        ``{"cell", "dataset", "ipc", "method", "protocol", "options", "steps", "published_steps", "real_share", "sets",
        "networks", "seconds", "cpu_seconds", "accuracy", "environment"}``: `real_share` is the number of real images
        read, divided by the paper's; seconds of each set's making by the clock and by the processor; accuracies are
        fractions. Empty except on the main process.

    Raises:
        DDCoreError: a set or a network cannot be made, or a file cannot be written.
    """
    method, folder = cell.maker(task), session.folder
    method = method.quick() if session.quick else method
    made = [_made(cell, method, task, seed, session) for seed in range(cell.sets)]
    judged = _part(session, "evaluation", "evaluate", asdict(cell), "evaluation")
    how = Evaluation(seeds=cell.networks, protocol=cell.protocol)
    sets = [small for small, _ in made]
    scores = evaluation_of(how, sets, task, FRESH, folder / "sets").run(judged) if not judged.finished else {}
    if not session.main:
        return {}
    scores = scores or read_scores(judged.folder / "scores.json")
    accuracies = next(iter(scores["nets"].values()))["accuracy"]
    return {
        "cell": cell.name,
        "dataset": cell.dataset,
        "ipc": cell.ipc,
        "method": cell.paper,
        "protocol": PROTOCOLS[cell.protocol].record(),
        "preset": PRESET,
        "options": flat(method),
        "steps": method.steps,
        "published_steps": cell.published_steps,
        "real_share": cell.real_share(task),
        "sets": cell.sets,
        "networks": cell.networks,
        **{name: [cost[name] for _, cost in made] for name in ("seconds", "cpu_seconds")},
        "accuracy": accuracies,
        "environment": _where(folder / "sets" / "seed-0" / "environment.json"),
    }


def _where(path: Path) -> JSONObject:
    """Return the commit and the machine of a run, and when it started."""
    where = read_object(path, WHERE)
    return {name: where[name] for name in WHERE_NAMES if name in where}


def _made(
    cell: PublishedCell, method: Method, task: Task, seed: int, session: Session
) -> tuple[DistilledSet, JSONObject]:
    """Return a set of a cell and what its making took; made if it is not there."""
    budget = cell.ipc * len(task.classes)
    problem = Problem(task, budget, method.pool_of(task), seed=seed, device=session.device)
    config = {"method": cell.method, "options": flat(method), "budget": budget, "seed": seed}
    part = _part(session, f"sets/seed-{seed}", "distill", config, f"{cell.name}, set {seed + 1} of {cell.sets}")
    with _spending(part):
        small = synthesise(method, problem, part)
    cost = {"seconds": read_object(part.folder / "result.json", {"seconds": float})["seconds"]}
    return small, cost | {"cpu_seconds": round(_spent(part), 1)}


def _part(session: Session, name: str, stage: str, options: JSONObject, title: str) -> Session:
    """Return the session of a part of the work, in a folder of its own."""
    with session.processes.main_process_first():
        run = Run.start(session.folder / name, stage, options, main=session.main)
    bar = Bar(title, replace(session, run=run, progress=None))
    return replace(session, run=run, progress=bar)


@contextmanager
def _spending(session: Session) -> Iterator[None]:
    """Add this process's processor time in a ``with`` block to what a run has spent, however the block ends."""
    begun, before = time.process_time(), _spent(session)
    fresh = not session.finished
    try:
        yield
    finally:
        if fresh and session.main:
            write_json(session.folder / "spent.json", {"cpu_seconds": before + time.process_time() - begun})


def _spent(session: Session) -> float:
    """Return the processor seconds of a run so far; a process that was killed outright left none."""
    path = session.folder / "spent.json"
    return float(read_object(path, SPENT)["cpu_seconds"]) if path.exists() else 0.0
