"""``job.json``: what the job is, how far it came, and what it reached; kept up to date after every stage."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ddcore.errors import DDCoreError, UsageError
from ddcore.job.plan import Choices, Planned
from ddcore.job.table import PARTS, Line, Part
from ddcore.report import accuracy, loss_against, meets, points, read_scores, score_of
from ddcore.runtime import read_json, write_json


@dataclass(frozen=True)
class Reached:
    """What a result's first line came to.

    Attributes:
        name: the result's.
        goal: in words.
        reached: in words; why there is none, if there is none.
        met: whether the goal was met; None without a goal or a score.
        seconds: spent on all stages that led to it.
        peak_memory_bytes: the largest of these stages.
    """

    name: str
    goal: str
    reached: str
    met: bool | None
    seconds: float
    peak_memory_bytes: int


class Record:
    """The record of one job folder.

    Attributes:
        out: the job's folder.
        stages: one entry a stage, by name, in the order in which they run; entries of data sets that this call
            leaves out stay.
    """

    def __init__(
        self, out: Path, choices: Choices, data: str, planned: Sequence[Planned], parts: Sequence[Part] = ()
    ) -> None:
        """Open the record that is there, or begin one.

        Args:
            out: the job's folder.
            choices: what decides the results.
            data: the folder of the data sets.
            planned: the stages of this call.
            parts: what they were planned from; results of other data sets are weighed as in the table of stages.

        Raises:
            UsageError: the folder holds a job with other choices.
            DDCoreError: its record is damaged.
        """
        self.out, self.choices, self.data = out, choices, data
        self.path = out / "job.json"
        self.parts = {**PARTS, **{part.dataset: part for part in parts}}
        before = self._before()
        self._earlier = float(before.get("seconds", 0.0))
        self._began = before.get("started") or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._clock = time.monotonic()
        known = {entry["name"]: entry for entry in before.get("stages", [])}
        self.planned = {stage.name: stage for stage in planned}
        self.stages: dict[str, dict[str, Any]] = {}
        for name in [*known, *(name for name in self.planned if name not in known)]:
            stage = self.planned.get(name)
            self.stages[name] = known[name] if stage is None else self._entry(stage, known.get(name, {}))

    def _before(self) -> dict[str, Any]:
        if not self.path.exists():
            return {}
        before = read_json(self.path)
        if not isinstance(before, dict) or "choices" not in before:
            raise DDCoreError(f"{self.path} is damaged: it holds no job; delete it, finished stages are found again")
        now = asdict(self.choices)
        other = [
            f"{name} was {before['choices'].get(name)}, now {now[name]}"
            for name in now
            if before["choices"].get(name) != now[name]
        ]
        if other:
            raise UsageError(
                f"{self.out} holds a job with other options ({'; '.join(other)}): choose another --out, "
                "or --fresh to put it aside and start over"
            )
        return before

    def _entry(self, stage: Planned, old: dict[str, Any]) -> dict[str, Any]:
        """Return a stage's entry: done if its folders say so and it was not another stage then."""
        finished = all((self.out / folder / "done").exists() for folder in stage.folders)
        same = old.get("command", stage.shown()) == stage.shown()
        entry = {
            "name": stage.name,
            "dataset": stage.dataset,
            "command": stage.shown(),
            "folder": stage.name,
            "status": "done" if finished and same else "pending",
            "seconds": old.get("seconds") if same else None,
            "peak_memory_bytes": old.get("peak_memory_bytes") if same else None,
            "gpu_utilisation": old.get("gpu_utilisation") if same else None,
            "error": "",
        }
        if entry["status"] == "done" and entry["seconds"] is None:
            # Run by hand, or under a record that was lost: the stage's own account has no start-up time in it.
            results = [read_json(self.out / folder / "result.json") for folder in stage.folders]
            entry["seconds"] = round(sum(result["seconds"] for result in results), 2)
            entry["peak_memory_bytes"] = max(result["peak_memory_bytes"] for result in results)
        return entry

    def done(self, name: str) -> bool:
        """Whether a stage is finished."""
        return bool(self.stages[name]["status"] == "done")

    def update(self, name: str, status: str, error: str = "", seconds: float = 0.0, peak: int = 0) -> None:
        """Record how a stage ended and write the record; seconds add to those of earlier attempts.

        Raises:
            DDCoreError: the record cannot be written.
        """
        entry = self.stages[name]
        entry.update(status=status, error=error)
        if seconds:
            entry["seconds"] = round((entry["seconds"] or 0.0) + seconds, 2)
            entry["peak_memory_bytes"] = max(entry["peak_memory_bytes"] or 0, peak)
        self.write()

    def write(self) -> None:
        """Write ``job.json``, atomically."""
        shown = {entry["dataset"] for entry in self.stages.values()}
        parts = [part for part in self.parts.values() if part.dataset in shown]
        content = {
            "profile": self.choices.profile,
            "seeds": self.choices.seeds,
            "seed": self.choices.seed,
            "choices": asdict(self.choices),
            "data": self.data,
            "started": self._began,
            "seconds": round(self._earlier + time.monotonic() - self._clock, 1),
            "results": [entry for part in parts for entry in results_of(part, self.stages)],
            "stages": list(self.stages.values()),
        }
        write_json(self.path, content)

    def reached(self, part: Part) -> list[Reached]:
        """Return what each result of a data set came to."""
        found = []
        for result in part.results:
            line = result.lines[0]
            stages = self._leading_to(f"{part.dataset}/{line.stage}")
            try:
                words, met = weigh(self.out, part, line)
            except DDCoreError as error:
                left = [entry["status"] for entry in stages if entry["status"] != "done"]
                words, met = ("failed" if "failed" in left else "not run") if left else str(error), None
            seconds = sum(entry["seconds"] or 0.0 for entry in stages)
            peak = max((entry["peak_memory_bytes"] or 0 for entry in stages), default=0)
            found.append(Reached(result.name, line.goal, words, met, seconds, peak))
        return found

    def _leading_to(self, name: str) -> list[dict[str, Any]]:
        """Return the entries of a stage and of all that it needs, first things first."""
        if name not in self.planned:
            return []
        before = [entry for need in self.planned[name].needs for entry in self._leading_to(need)]
        entries = {entry["name"]: entry for entry in [*before, self.stages[name]]}
        return list(entries.values())


def results_of(part: Part, stages: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the results of a data set as ``job.json`` holds them, with the rows whose stages belong to the job."""
    found = []
    for result in part.results:
        first, *rest = [_row(part, line) for line in result.lines if f"{part.dataset}/{line.stage}" in stages]
        found.append({"name": result.name, "dataset": part.dataset, **first, "rows": rest})
    return found


def _row(part: Part, line: Line) -> dict[str, Any]:
    return {
        "label": line.label,
        "scores": f"{part.dataset}/{line.stage}/scores.json",
        "net": line.net,
        "goal": line.goal,
        "aim": line.aim,
        "bar": _bar(part, line),
    }


def _bar(part: Part, line: Line) -> dict[str, Any]:
    if line.over is not None:
        return {"kind": "at_least", "value": line.over}
    if line.loses_under is None:
        return {}
    baseline = f"{part.dataset}/baseline/scores.json"
    return {"kind": "loses_less_than", "value": line.loses_under, "baseline": baseline}


def weigh(out: Path, part: Part, line: Line) -> tuple[str, bool | None]:
    """Return what a line reached, in words, and whether that meets its goal.

    Raises:
        DDCoreError: its scores, or the baseline's, are missing or damaged.
    """
    path = out / part.dataset / line.stage / "scores.json"
    score = score_of(path, read_scores(path), line.net)
    words = accuracy(score)
    if line.loses_under is None:
        return words, meets(_bar(part, line), score, None)
    before = out / part.dataset / "baseline" / "scores.json"
    loss = loss_against(score_of(before, read_scores(before), "default"), score)
    return f"{words}, {points(loss)} points", meets(_bar(part, line), score, loss)
