"""``job.json``: the job's choices, the state of each stage and the results; rewritten after every stage."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypedDict

from ddcore.errors import DDCoreError, require
from ddcore.job.plan import Choices, Planned
from ddcore.job.table import PLANS, DatasetPlan, Line, Output
from ddcore.runtime import (
    CONFIG,
    RESULT,
    JSONObject,
    Schema,
    changed_inputs,
    read_object,
    schema_of,
    set_aside,
    write_json,
)
from ddcore.training import Goal, accuracy, loss_against, meets, points, read_inputs, read_scores, score_of


class StageEntry(TypedDict):
    """A stage in ``job.json``; `status` is ``pending``, ``done``, ``failed`` or ``skipped``."""

    name: str
    dataset: str
    command: list[str]
    folder: str
    status: str
    seconds: float | None
    peak_memory_bytes: int | None
    gpu_utilisation: float | None
    error: str


JOB: Schema = {
    "choices": dict,
    "seconds?": float,
    "started?": (str, None),
    "stages?": [schema_of(StageEntry)],
}
"""The shape of ``job.json``, as far as a job reads it."""


class JobRecord:
    """The record of one job folder.

    Attributes:
        out: the job's folder.
        stages: one entry per stage, by name, in the order in which they run; entries of data sets that are not part
            of this call stay.
    """

    def __init__(
        self, out: Path, choices: Choices, data: str, planned: Sequence[Planned], plans: Sequence[DatasetPlan] = ()
    ) -> None:
        """Open the existing record, or begin one.

        Args:
            out: the job's folder.
            choices: what decides the results.
            data: the folder of the data sets.
            planned: the stages of this call.
            plans: they come from; results of other data sets are weighed as in the table of stages.

        Raises:
            UsageError: the folder holds a job with other choices.
            DDCoreError: its record is damaged.
        """
        self.out, self.choices, self.data = out, choices, data
        self.path = out / "job.json"
        self.plans = {**PLANS, **{plan.dataset: plan for plan in plans}}
        before = self._before()
        self._earlier = float(before.get("seconds", 0.0))
        self._began = before.get("started") or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._clock = time.monotonic()
        known: dict[str, StageEntry] = {entry["name"]: entry for entry in before.get("stages", [])}
        self.planned = {stage.name: stage for stage in planned}
        self.stages = known | {name: self._entry(stage, known.get(name)) for name, stage in self.planned.items()}

    def _before(self) -> JSONObject:
        if not self.path.exists():
            return {}
        try:
            before: JSONObject = read_object(self.path, JOB)
        except DDCoreError as error:
            raise DDCoreError(f"{error}; delete it, finished stages are recognised") from error
        other = [
            f"{name} was {before['choices'].get(name)}, now {value}"
            for name, value in asdict(self.choices).items()
            if before["choices"].get(name) != value
        ]
        require(
            not other,
            f"{self.out} holds a job with other options ({'; '.join(other)}): choose another --out, "
            "or --fresh to put it aside and start over",
        )
        return before

    def _entry(self, stage: Planned, earlier: StageEntry | None) -> StageEntry:
        """Return a stage's entry: done if its folders are and its command is the same as in the earlier entry."""
        finished = all((self.out / folder / "done").exists() for folder in stage.folders)
        if earlier is not None and earlier["command"] != stage.command():
            earlier, finished = None, False
        entry: StageEntry = {
            "name": stage.name,
            "dataset": stage.dataset,
            "command": stage.command(),
            "folder": stage.name,
            "status": "done" if finished else "pending",
            "seconds": earlier["seconds"] if earlier else None,
            "peak_memory_bytes": earlier["peak_memory_bytes"] if earlier else None,
            "gpu_utilisation": earlier["gpu_utilisation"] if earlier else None,
            "error": "",
        }
        if finished and entry["seconds"] is None:
            # Run by hand, or the record was lost: the stage's own result does not include its start-up time.
            results = [read_object(self.out / folder / "result.json", RESULT) for folder in stage.folders]
            entry["seconds"] = round(sum(result.get("seconds") or 0.0 for result in results), 2)
            entry["peak_memory_bytes"] = max(result.get("peak_memory_bytes") or 0 for result in results)
        return entry

    def data_record(self, dataset: str) -> Path:
        """Return the file with the digests of a data set, as they were when the job last read it."""
        return self.out / "data" / f"{dataset}.json"

    def changed(self, stage: Planned) -> list[str]:
        """Return the names of a stage's inputs that have changed since its run folders were made.

        Raises:
            DDCoreError: a file cannot be read or is damaged.
        """
        path = self.data_record(stage.dataset)
        data: dict[str, str] = read_object(path, {"*": str}, "delete it") if path.exists() else {}
        folders = {name: self.out / value.stage for name, value in stage.options.items() if isinstance(value, Output)}
        inputs = data | read_inputs(folders)
        configs = (self.out / folder / "config.json" for folder in stage.folders)
        runs = [changed_inputs(read_object(path, CONFIG), inputs) for path in configs if path.exists()]
        return list(dict.fromkeys(line for run in runs for line in run))

    def put_aside(self, name: str) -> None:
        """Rename a stage's folder and forget what the stage took.

        Raises:
            DDCoreError: the folder cannot be renamed, or is in use.
        """
        set_aside(self.out / name)
        entry = self.stages[name]
        entry["seconds"] = entry["peak_memory_bytes"] = None

    def done(self, name: str) -> bool:
        """Return whether a stage is finished."""
        return self.stages[name]["status"] == "done"

    def update(self, name: str, status: str, error: str = "", seconds: float = 0.0, peak: int = 0) -> None:
        """Record how a stage ended and write the record; seconds add to those of earlier attempts.

        Raises:
            DDCoreError: the record cannot be written.
        """
        entry = self.stages[name]
        entry["status"], entry["error"] = status, error
        if seconds:
            entry["seconds"] = round((entry["seconds"] or 0.0) + seconds, 2)
            entry["peak_memory_bytes"] = max(entry["peak_memory_bytes"] or 0, peak)
        self.write()

    def write(self) -> None:
        """Write ``job.json``, atomically."""
        datasets = {entry["dataset"] for entry in self.stages.values()}
        plans = [plan for plan in self.plans.values() if plan.dataset in datasets]
        content = {
            "profile": self.choices.profile,
            "seeds": self.choices.seeds,
            "seed": self.choices.seed,
            "choices": asdict(self.choices),
            "data": self.data,
            "started": self._began,
            "seconds": round(self._earlier + time.monotonic() - self._clock, 1),
            "results": [entry for plan in plans for entry in self._results(plan)],
            "stages": list(self.stages.values()),
        }
        write_json(self.path, content)

    def _results(self, plan: DatasetPlan) -> list[JSONObject]:
        """Return the results of a data set for ``job.json``, with the rows whose stages belong to the job."""
        entries = []
        for result in plan.results:
            first, *rest = [_row(plan, line) for line in result.lines if f"{plan.dataset}/{line.stage}" in self.stages]
            entries.append({"name": result.name, "dataset": plan.dataset, **first, "rows": rest})
        return entries

    def leading_to(self, name: str) -> list[StageEntry]:
        """Return the entries of a stage and of all that it needs, in the order in which they run."""
        if name not in self.planned:
            return []
        before = {entry["name"]: entry for need in self.planned[name].needs for entry in self.leading_to(need)}
        return list({**before, name: self.stages[name]}.values())


def _row(plan: DatasetPlan, line: Line) -> JSONObject:
    place = f"{plan.dataset}/{line.stage}/scores.json"
    shown = {"label": line.label, "scores": place, "net": line.net, "goal": line.goal, "aim": line.aim}
    return {**shown, "bar": _goal(plan, line)}


def _goal(plan: DatasetPlan, line: Line) -> Goal:
    if line.over is not None:
        return {"kind": "at_least", "value": line.over}
    if line.loses_under is None:
        return {}
    return {
        "kind": "loses_less_than",
        "value": line.loses_under,
        "baseline": f"{plan.dataset}/baseline/scores.json",
    }


def reached(record: JobRecord, plan: DatasetPlan, line: Line) -> tuple[str, bool | None]:
    """Return the score of a line in words, or why there is none, and whether it meets the line's goal."""
    path = record.out / plan.dataset / line.stage / "scores.json"
    goal, loss, words = _goal(plan, line), None, ""
    try:
        score = score_of(path, read_scores(path), line.net)
        if "baseline" in goal:
            before = record.out / goal["baseline"]
            loss = loss_against(score_of(before, read_scores(before), "default"), score)
            words = f", {points(loss)} points"
    except DDCoreError as error:
        states = {entry["status"] for entry in record.leading_to(f"{plan.dataset}/{line.stage}")}
        return str(error) if states <= {"done"} else "failed" if "failed" in states else "not run", None
    return accuracy(score) + words, meets(goal, score, loss)
