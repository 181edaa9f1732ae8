"""Reads run folders, whole or in pieces, into the records of a report.

What is missing, unfinished or damaged becomes a line of the report instead of an exception, so that one broken stage
does not hide the others.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddcore.errors import DDCoreError, UsageError
from ddcore.report.records import FORMAT, Curve, Records, Result, Row, Score, Scrub, Stage
from ddcore.report.scores import loss_against, meets, read_scores, score_of
from ddcore.runtime import read_json

CURVE_POINTS = 120


@dataclass(frozen=True)
class Evidence:
    """What pictures of a score are made from: its set's folder and its confusion counts."""

    title: str
    score: Score
    set_folder: Path | None
    confusion: list[list[int]] | None


class Collector:
    """What was read so far from one folder of runs.

    Attributes:
        root: the folder that relative paths start from.
        job: ``job.json``, or an empty dict.
        problems: one line for every file that could not be read.
        evidence: one entry for every score that stands for a result of its own.
    """

    def __init__(self, root: Path, job: dict[str, Any]) -> None:
        self.root, self.job = root, job
        self.scrub = Scrub(root, str(job.get("data", "")))
        self.problems: list[str] = []
        self.stages: list[Stage] = []
        self.environments: list[dict[str, Any]] = []
        self.protocols: dict[str, dict[str, Any]] = {}
        self.evidence: list[Evidence] = []
        self._places: dict[str, Path] = {}

    def read(self, path: Path) -> Any:
        """Return a JSON file's value; None if it is missing, or damaged, which is noted."""
        if not path.is_file():
            return None
        try:
            return read_json(path)
        except (DDCoreError, OSError) as error:
            self.note(error)
            return None

    def note(self, error: Exception) -> str:
        """Keep an error's line among the problems and return it."""
        line = self.scrub(str(error).splitlines()[0])
        if line not in self.problems:
            self.problems.append(line)
        return line

    def folder(self, text: str) -> Path:
        """Return the run folder that a record speaks of, wherever the whole tree lies now."""
        path = Path(text)
        tails = [Path(*path.parts[start:]) for start in range(len(path.parts))]
        places = [path if path.is_absolute() else self.root / path, *(self.root / tail for tail in tails[1:])]
        return next((place for place in places if place.exists()), places[0])

    def add_stage(self, entry: dict[str, Any], folder: Path) -> None:
        """Keep what a stage cost: from `entry` of ``job.json``, else from the ``result.json`` of its parts."""
        parts = parts_of(folder)
        results = [found for part in parts if isinstance(found := self.read(part / "result.json"), dict)]
        places = [self.read(part / "environment.json") for part in parts]
        self.environments += [place for place in places if isinstance(place, dict)]
        done = bool(parts) and all((part / "done").exists() for part in parts)
        total = sum(result.get("seconds", 0.0) for result in results) if results else None
        name = str(entry.get("name") or _inside(folder, self.root))
        self._places[_inside(folder, self.root)] = folder
        self.stages.append(
            Stage(
                name=name,
                dataset=str(entry.get("dataset", "")),
                folder=_inside(folder, self.root),
                status=str(entry.get("status") or ("done" if done else "pending")),
                error=self.scrub(str(entry.get("error") or "")),
                seconds=entry.get("seconds") or total,
                peak_memory_bytes=entry.get("peak_memory_bytes") or _most(results, "peak_memory_bytes"),
                peak_gpu_memory_bytes=_most(results, "peak_gpu_memory_bytes"),
                gpu_utilisation=entry.get("gpu_utilisation") or _most(results, "gpu_utilisation"),
                command=self.command(parts, entry.get("command", [])),
            )
        )

    def command(self, parts: Sequence[Path], planned: Sequence[str]) -> str:
        """Return the command line that a stage was made with, else the planned one, without this machine's paths."""
        configs = [config for part in parts if isinstance(config := self.read(part / "config.json"), dict)]
        command = self.scrub(str(configs[0].get("command", "")) if configs else " ".join(map(str, planned)))
        return f"python {command}" if command.split(" ")[0].endswith(".py") else command

    def row(self, entry: dict[str, Any], title: str = "") -> Row:
        """Return a line of the table of results.

        Args:
            entry: ``scores``, ``net``, ``label`` and ``goal`` as in ``job.json``.
            title: of the result that this row stands for; keeps the evidence for its pictures.
        """
        score, fault, making = None, "not run", None
        path = self.folder(str(entry.get("scores", "")))
        stages = {stage["folder"]: stage for stage in self.stages}
        scored = stages.get(_inside(path.parent, self.root))
        try:
            if path.is_file():
                found, net = read_scores(path), str(entry.get("net", "default"))
                score, fault = score_of(path, found, net), ""
                self.protocols.setdefault(_inside(path.parent, self.root), found["protocol"])
                made_in = (found["protocol"].get("set") or {}).get("path")
                place = self.folder(made_in) if made_in else None
                making = stages.get(_inside(place, self.root)) if place else None
                if title and score["tested_on"] == "test":
                    self.evidence.append(Evidence(title, score, place, found["nets"][net].get("confusion")))
            elif scored and scored["error"]:
                fault = f"failed: {scored['error']}" if scored["status"] == "failed" else scored["error"]
        except DDCoreError as error:
            fault = self.note(error)
        used = self.leading_to([stage for stage in (making, scored) if stage])
        spent = [stage["seconds"] for stage in used if stage["seconds"] is not None]
        return Row(
            label=str(entry.get("label") or ""),
            goal=str(entry.get("goal") or ""),
            aim=str(entry.get("aim") or ""),
            met=None,
            score=score,
            loss=None,
            fault=fault,
            seconds=sum(spent) if spent else None,
            peak_memory_bytes=_most(used, "peak_memory_bytes"),
            commands=[stage["command"] for stage in used],
        )

    def leading_to(self, stages: Sequence[Stage], outer: tuple[str, ...] = ()) -> list[Stage]:
        """Return stages, each after those whose folders its command names."""
        found: dict[str, Stage] = {}
        for stage in stages:
            words = stage["command"].split()
            if stage["folder"] in outer:
                continue
            needed = [
                other
                for other in self.stages
                if other is not stage and any(f"/{word}".endswith(f"/{other['folder']}") for word in words)
            ]
            for each in [*self.leading_to(needed, (*outer, stage["folder"])), stage]:
                found.setdefault(each["folder"], each)
        return list(found.values())

    def result(self, entry: dict[str, Any]) -> Result:
        """Return a result with its comparison rows, weighed against its bar."""
        name, net = str(entry.get("name", "")), entry.get("net", "default")
        bar = entry.get("bar") or {}
        baseline: Score | None = None
        if bar.get("baseline"):
            baseline = self.row({"scores": bar["baseline"], "net": bar.get("net", "default")})["score"]
        rows = []
        for number, each in enumerate([entry, *entry.get("rows", [])]):
            row = self.row({"net": net, **each}, title="" if number else name)
            if baseline is not None and row["score"] is not None:
                row["loss"] = loss_against(baseline, row["score"])
            row["met"] = meets(each.get("bar") or {}, row["score"], row["loss"])
            rows.append(row)
        return Result(name=name, dataset=str(entry.get("dataset", "")), rows=rows)

    def curves(self) -> list[Curve]:
        """Return the logged values of every stage, thinned out."""
        found: list[Curve] = []
        for stage in self.stages:
            for part in parts_of(self._places[stage["folder"]])[:1]:
                found += curves_of(part / "metrics.jsonl", stage["name"], stage["dataset"])
        return found

    def records(self, results: list[Result]) -> Records:
        """Return the records of everything read, without pictures."""
        environment = dict(self.environments[0]) if self.environments else {}
        for name in ("commit", "device"):
            seen = list(dict.fromkeys(str(each.get(name)) for each in self.environments))
            environment[name] = ", ".join(seen)
        environment["dirty"] = any(each.get("dirty") for each in self.environments)
        return Records(
            format=FORMAT,
            profile=str(self.job.get("profile", "")),
            seed=self.job.get("seed"),
            started=str(self.job.get("started") or environment.get("started", "")),
            seconds=self.job.get("seconds"),
            environment=environment,
            protocols={name: _plain(protocol, self.scrub) for name, protocol in sorted(self.protocols.items())},
            results=results,
            stages=self.stages,
            curves=self.curves(),
            confusions=[],
            samples=[],
            grids=[],
            problems=self.problems,
        )


def open_job(folder: Path) -> Collector:
    """Read the stages of a folder that ``run_all`` made.

    Raises:
        DDCoreError: ``job.json`` is damaged.
    """
    job = read_json(folder / "job.json")
    if not isinstance(job, dict):
        raise DDCoreError(f"{folder / 'job.json'} is damaged: it holds no job")
    found = Collector(folder, job)
    for entry in job.get("stages", []):
        found.add_stage(entry, found.folder(str(entry.get("folder", ""))))
    return found


def open_folders(folders: list[Path]) -> tuple[Collector, list[Result]]:
    """Read run folders given one by one: a result for every data set and budget, a row for every network.

    Raises:
        UsageError: none of them holds a ``scores.json``.
    """
    root = folders[0].absolute().parent
    found = Collector(root, {})
    configs = [path for folder in folders for path in sorted(folder.absolute().glob("**/config.json"))]
    for folder in dict.fromkeys(
        path.parent.parent if path.parent.name.startswith("seed-") else path.parent for path in configs
    ):
        found.add_stage({}, folder)
    files = [path for folder in folders for path in sorted(folder.absolute().glob("**/scores.json"))]
    if not files:
        names = ", ".join(map(str, folders))
        raise UsageError(f"no job.json, records.json or scores.json under {names}: give folders that a run made")
    groups: dict[tuple[str, int], list[Row]] = {}
    for path in files:
        try:
            nets = list(read_scores(path)["nets"])
        except DDCoreError as error:
            found.note(error)
            continue
        name = _inside(path.parent, root)
        for net in nets:
            row = found.row({"scores": str(path), "net": net, "label": f"{name}, {net}"}, title=name)
            score = row["score"]
            if score is not None:
                groups.setdefault((score["dataset"], score["members"]), []).append(row)
    results = [
        Result(name=f"{dataset}, {members:,} members", dataset=dataset, rows=rows)
        for (dataset, members), rows in sorted(groups.items())
    ]
    return found, results


def parts_of(folder: Path) -> list[Path]:
    """Return the run folders of a stage: itself, or its ``seed-*`` folders."""
    return [folder] if (folder / "config.json").exists() else sorted(folder.glob("seed-*"))


def curves_of(path: Path, stage: str, dataset: str) -> list[Curve]:
    """Read ``metrics.jsonl``; half-written lines are passed over, a step logged twice counts once."""
    if not path.is_file():
        return []
    values: dict[str, dict[int, float]] = {}
    for line in path.read_text(errors="replace").splitlines():
        try:
            entry = json.loads(line)
            step = int(entry.pop("step"))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        for key, value in entry.items():
            if key != "seconds" and isinstance(value, int | float) and math.isfinite(value):
                values.setdefault(key, {})[step] = float(value)
    made = []
    for key, points in values.items():
        steps = sorted(points)
        kept = steps[:: max(1, len(steps) // CURVE_POINTS)]
        kept = kept if kept[-1] == steps[-1] else [*kept, steps[-1]]
        made.append(Curve(stage=stage, dataset=dataset, key=key, steps=kept, values=[points[s] for s in kept]))
    return made


def _inside(path: Path, root: Path) -> str:
    """Return a path as seen from `root`, or its name if it lies elsewhere."""
    try:
        return path.absolute().relative_to(root.absolute()).as_posix()
    except ValueError:
        return path.name


def _most(entries: Sequence[Any], name: str) -> Any:
    values = [entry[name] for entry in entries if entry.get(name) is not None]
    return max(values) if values else None


def _plain(value: Any, scrub: Scrub) -> Any:
    """Return a JSON value with this machine's paths taken out of its texts."""
    if isinstance(value, dict):
        return {name: _plain(each, scrub) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each, scrub) for each in value]
    return scrub(value) if isinstance(value, str) else value
