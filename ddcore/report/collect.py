"""Reads the run folders of a job, or single ones, into the records of a report.

A missing, unfinished or damaged file becomes a line of the report instead of an exception, so that one broken stage
does not hide the others.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ddcore.errors import DDCoreError, UsageError, require
from ddcore.report.names import machine
from ddcore.report.records import (
    FORMAT,
    Confusion,
    Curve,
    Grid,
    Records,
    ResultRecord,
    ResultRow,
    Sample,
    Scrub,
    StageRecord,
    grouped,
)
from ddcore.runtime import CONFIG, LARGEST, RESULT, Json, JSONObject, Schema, file_name, read_object, seed_folders
from ddcore.training import Goal, Score, above, folder_digest, loss_against, meets, read_scores, score_of

CURVE_POINTS = 120
ASIDE = re.compile(r"\.old-\d+$")
LARGEST_VALUE = 1e300
MEASURED = ("peak_memory_bytes", "peak_gpu_memory_bytes", "gpu_utilisation")
Number = TypeVar("Number", int, float)

TEXT: Schema = (str, None)
GOAL: Schema = {"kind?": str, "value?": float, "baseline?": str, "net?": str}
ROW: dict[str, Schema] = {
    **{name: TEXT for name in ("label?", "goal?", "aim?", "scores?")},
    "net?": str,
    "bar?": (GOAL, None),
}
STAGE: Schema = {
    **{name: TEXT for name in ("name?", "dataset?", "folder?", "status?", "error?")},
    **{name: (float, None) for name in ("seconds?", "gpu_utilisation?")},
    "peak_memory_bytes?": (int, None),
    "command?": [str],
}
JOB: Schema = {
    **{name: TEXT for name in ("profile?", "started?", "data?")},
    "seed?": (int, None),
    "seconds?": (float, None),
    "stages?": [STAGE],
    "results?": [{**ROW, "name?": TEXT, "dataset?": TEXT, "rows?": [ROW]}],
}
"""The shape of ``job.json``, as far as a report reads it."""


@dataclass(frozen=True)
class Evidence:
    """The sources of a score's pictures: the folder of its set and its confusion counts."""

    title: str
    score: Score
    set_folder: Path | None
    confusion: list[list[int]] | None


class Collector:
    """The content of one folder of runs.

    Attributes:
        root: the folder that relative paths start from.
        roots: the folders that may be read: the root, and what the user named.
        job: ``job.json``, or an empty dict.
        problems: one line per file that could not be read.
        evidence: one entry per score that is a result of its own.
    """

    def __init__(self, root: Path, job: JSONObject, named: Sequence[Path] = ()) -> None:
        self.root, self.job = root, job
        self.roots = [each.resolve() for each in (root, *named)]
        self.scrub = Scrub(root, str(job.get("data", "")))
        self.problems: list[str] = []
        self.stages: list[StageRecord] = []
        self.environments: list[JSONObject] = []
        self.protocols: dict[str, JSONObject] = {}
        self.evidence: list[Evidence] = []
        self._places: dict[str, Path] = {}

    def read(self, paths: Iterable[Path], schema: Schema) -> list[JSONObject]:
        """Return the objects in some JSON files, without missing files and damaged ones, which are noted."""
        objects: list[JSONObject] = []
        for path in paths:
            try:
                objects += [read_object(path, schema)] if path.is_file() and self.reads(path) else []
            except (DDCoreError, OSError) as error:
                self.note(error)
        return objects

    def note(self, error: Exception) -> str:
        """Add the line of an error to the problems and return it."""
        line = self.scrub(str(error).splitlines()[0])
        if line not in self.problems:
            self.problems.append(line)
        return line

    def folder(self, text: str) -> Path:
        """Return the current place of a run folder in a record, in case the whole tree was moved.

        A record is not followed out of the folders that are read: such a place counts as missing.
        """
        parts = Path(text).parts
        places = [self.root.joinpath(*parts[start:]) for start in range(max(1, len(parts)))]
        places = [place for place in places if self.reads(place)] or [self.root / file_name(text)]
        return next((place for place in places if place.exists()), places[0])

    def reads(self, path: Path) -> bool:
        """Return whether a path, and what it links to, lies in the folders that are read."""
        return any(path.resolve().is_relative_to(root) for root in self.roots)

    def add_stage(self, entry: JSONObject, folder: Path) -> None:
        """Add the cost of a stage, from its `entry` in ``job.json`` or the ``result.json`` of its parts."""
        parts, inside = parts_of(folder), _inside(folder, self.root)
        results = self.read((part / "result.json" for part in parts), RESULT)
        environments = self.read((part / "environment.json" for part in parts), dict)
        self.environments += environments
        done = bool(parts) and all((part / "done").exists() for part in parts)
        largest = {name: _largest(result.get(name) for result in results) for name in MEASURED}
        total = sum(result.get("seconds") or 0.0 for result in results) if results else None
        self._places[inside] = folder
        self.stages.append(
            StageRecord(
                name=str(entry.get("name") or inside),
                dataset=str(entry.get("dataset", "")),
                folder=inside,
                status=str(entry.get("status") or ("done" if done else "pending")),
                error=self.scrub(str(entry.get("error") or "")),
                seconds=entry.get("seconds") or total,
                peak_memory_bytes=entry.get("peak_memory_bytes") or largest["peak_memory_bytes"],
                peak_gpu_memory_bytes=largest["peak_gpu_memory_bytes"],
                gpu_utilisation=entry.get("gpu_utilisation") or largest["gpu_utilisation"],
                command=self.command(parts, entry.get("command", [])),
                commit=", ".join(dict.fromkeys(str(each.get("commit", "unknown")) for each in environments)),
                machines=list(dict.fromkeys(map(machine, environments))),
                started=str(environments[-1].get("started", "")) if environments else "",
            )
        )

    def command(self, parts: Sequence[Path], planned: Sequence[str]) -> str:
        """Return the command line that a stage ran with, otherwise the planned one, without absolute paths."""
        configs = self.read((part / "config.json" for part in parts), CONFIG)
        command = self.scrub(str(configs[0].get("command", "")) if configs else " ".join(map(str, planned)))
        return f"python {command}" if command.split(" ")[0].endswith(".py") else command

    def row(self, entry: JSONObject, title: str = "") -> ResultRow:
        """Return a row of the table of results.

        Args:
            entry: ``scores``, ``net``, ``label`` and ``goal`` as in ``job.json``.
            title: of the result that this row is; adds the evidence for its pictures.
        """
        score, fault, producer = None, "not run", None
        path, stages = self.folder(str(entry.get("scores", ""))), {stage["folder"]: stage for stage in self.stages}
        inside = _inside(path.parent, self.root)
        scored = stages.get(inside)
        try:
            if path.is_file():
                content, net = read_scores(path), str(entry.get("net", "default"))
                source = (content["protocol"].get("set") or {}).get("path")
                place = self.folder(source) if source else None
                _check_set(path, place)
                score, fault = score_of(path, content, net), ""
                self.protocols.setdefault(inside, content["protocol"])
                producer = stages.get(_inside(place, self.root)) if place else None
                if title and score["tested_on"] == "test":
                    self.evidence.append(Evidence(title, score, place, content["nets"][net].get("confusion")))
            elif scored and scored["error"]:
                fault = f"failed: {scored['error']}" if scored["status"] == "failed" else scored["error"]
        except DDCoreError as error:
            fault = self.note(error)
        used = self.leading_to([stage for stage in (producer, scored) if stage])
        spent = [stage["seconds"] for stage in used if stage["seconds"] is not None]
        return ResultRow(
            label=str(entry.get("label") or ""),
            goal=str(entry.get("goal") or ""),
            aim=str(entry.get("aim") or ""),
            met=None,
            score=score,
            loss=None,
            fault=fault,
            seconds=sum(spent) if spent else None,
            peak_memory_bytes=_largest(stage["peak_memory_bytes"] for stage in used),
            commands=[stage["command"] for stage in used],
            commits=list(dict.fromkeys(name for stage in used for name in stage.get("commit", "").split(", ") if name)),
            machines=list(dict.fromkeys(name for stage in used for name in stage.get("machines", []))),
            started=used[-1].get("started", "") if used else "",
            protocol=inside,
        )

    def leading_to(self, stages: Sequence[StageRecord], outer: tuple[str, ...] = ()) -> list[StageRecord]:
        """Return the stages and those whose folders their commands name, in the order in which they run."""
        ordered: dict[str, StageRecord] = {}
        for stage in stages:
            inner, words = (*outer, stage["folder"]), stage["command"].split()
            needed = [
                other
                for other in self.stages
                if other["folder"] not in inner and any(f"/{word}".endswith(f"/{other['folder']}") for word in words)
            ]
            for each in [*self.leading_to(needed, inner), stage]:
                ordered.setdefault(each["folder"], each)
        return list(ordered.values())

    def result(self, entry: JSONObject) -> ResultRecord:
        """Return a result with its comparison rows, each weighed against its goal."""
        name, net = str(entry.get("name", "")), entry.get("net", "default")
        goal = entry.get("bar") or {}
        whole = {"scores": goal.get("baseline"), "net": goal.get("net", "default")}
        baseline = self.row(whole)["score"] if whole["scores"] else None
        rows = []
        for number, each in enumerate([entry, *entry.get("rows", [])]):
            row = self.row({"net": net, **each}, title="" if number else name)
            row["loss"] = loss_against(baseline, row["score"]) if baseline and row["score"] else None
            row["met"] = meets(each.get("bar") or Goal(), row["score"], row["loss"])
            rows.append(row)
        mark(rows)
        return ResultRecord(name=name, dataset=str(entry.get("dataset", "")), rows=rows)

    def records(
        self, results: list[ResultRecord], grids: list[Grid], samples: list[Sample], confusions: list[Confusion]
    ) -> Records:
        """Return the records of everything read, with the descriptions of its pictures."""
        names = ("commit", "device")
        environment = {
            **(self.environments[0] if self.environments else {}),
            **{name: ", ".join(dict.fromkeys(str(each.get(name)) for each in self.environments)) for name in names},
            "dirty": any(each.get("dirty") for each in self.environments),
        }
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
            curves=[
                curve
                for stage in self.stages
                for part in parts_of(self._places[stage["folder"]])[:1]
                if self.reads(part / "metrics.jsonl")
                for curve in curves_of(part / "metrics.jsonl", stage["name"], stage["dataset"])
            ],
            confusions=confusions,
            samples=samples,
            grids=grids,
            problems=self.problems,
        )


def open_job(folder: Path) -> Collector:
    """Return the stages of a job's folder.

    Raises:
        DDCoreError: ``job.json`` is damaged.
    """
    job = read_object(folder / "job.json", JOB)
    collector = Collector(folder, job)
    for entry in job.get("stages", []):
        collector.add_stage(entry, collector.folder(str(entry.get("folder", ""))))
    return collector


def open_folders(folders: list[Path]) -> tuple[Collector, list[ResultRecord]]:
    """Return the stages and results of single run folders: a result per data set and budget, a row per network.

    Raises:
        UsageError: none of them holds a ``scores.json``.
    """
    root = folders[0].absolute().parent
    collector = Collector(root, {}, folders)
    runs = [path.parent for folder in folders for path in _files(folder, "config.json")]
    for folder in dict.fromkeys(run.parent if run.name.startswith("seed-") else run for run in runs):
        collector.add_stage({}, folder)
    files = [path for folder in folders for path in _files(folder, "scores.json")]
    if not files:
        names = ", ".join(map(str, folders))
        raise UsageError(f"no job.json, records.json or scores.json under {names}: name folders of finished runs")
    rows = []
    for path in files:
        try:
            nets = list(read_scores(path)["nets"])
        except DDCoreError as error:
            collector.note(error)
            continue
        name = _inside(path.parent, root)
        entries = [{"scores": str(path), "net": net, "label": f"{name}, {net}"} for net in nets]
        rows += [collector.row(entry, title=name) for entry in entries]
    mark(rows)
    groups = grouped(((row["score"]["dataset"], row["score"]["members"]), row) for row in rows if row["score"])
    return collector, [
        ResultRecord(name=f"{dataset}, {members:,} members", dataset=dataset, rows=mine)
        for (dataset, members), mine in sorted(groups.items())
    ]


def _files(folder: Path, name: str) -> list[Path]:
    """Return the files of a name anywhere below a folder, except in runs that were put aside."""
    root = folder.absolute()
    paths = sorted(root.glob(f"**/{name}"))
    return [path for path in paths if not any(ASIDE.search(part) for part in path.relative_to(root).parts)]


def _check_set(scores: Path, place: Path | None) -> None:
    """Refuse scores of a set that was made again since, as far as the run of the scores has the set's digest.

    Raises:
        DDCoreError: the set in its folder is another one.
    """
    path = scores.with_name("config.json")
    config = read_object(path, CONFIG) if path.exists() else {}
    before, now = config.get("inputs", {}).get("set"), folder_digest("set", place) if place else ""
    same = not before or not now or before == now
    require(same, f"{scores} has the scores of an earlier set than {place} holds now: evaluate it again", DDCoreError)


def mark(rows: Sequence[ResultRow]) -> None:
    """Note in each row whether its score is above that of random members of the same number, with the same labels."""
    scores = [row["score"] for row in rows]
    random = {_alike(score): score for score in scores if score and score["method"] == "random"}
    for row in rows:
        score = row["score"]
        if score and score["method"] not in ("random", "whole") and (other := random.get(_alike(score))):
            row["above_random"] = above(score, other)


def _alike(score: Score) -> tuple[str | int, ...]:
    cut = score.get("prefix") or score.get("subset") or 0
    return score["dataset"], score["net"], score["members"], score["labels"], score["tested_on"], cut


def parts_of(folder: Path) -> list[Path]:
    """Return the run folders of a stage: itself, or its ``seed-*`` folders."""
    return [folder] if (folder / "config.json").exists() else seed_folders(folder)


def curves_of(path: Path, stage: str, dataset: str) -> list[Curve]:
    """Return the curves of a ``metrics.jsonl``; incomplete lines and repeated steps are ignored."""
    values: dict[str, dict[int, float]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        try:
            entry = json.loads(line)
            step = int(entry.pop("step"))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            continue
        for key, value in entry.items():
            # Not so large that a hundredfold is infinite; no comparison with NaN holds.
            usable = isinstance(value, int | float) and abs(value) < LARGEST_VALUE and 0 <= step <= LARGEST
            if key != "seconds" and usable and key.isprintable():
                values.setdefault(key, {})[step] = float(value)
    curves = []
    for key, points in values.items():
        steps = sorted({*sorted(points)[:: max(1, len(points) // CURVE_POINTS)], max(points)})
        curves.append(
            Curve(stage=stage, dataset=dataset, key=key, steps=steps, values=[points[step] for step in steps])
        )
    return curves


def _inside(path: Path, root: Path) -> str:
    """Return a path relative to `root`, or its name if it lies elsewhere."""
    try:
        return path.absolute().relative_to(root.absolute()).as_posix()
    except ValueError:
        return path.name


def _largest(values: Iterable[Number | None]) -> Number | None:
    return max((value for value in values if value is not None), default=None)


def _plain(value: Json, scrub: Scrub) -> Json:
    """Return a JSON value without absolute paths in its texts."""
    if isinstance(value, dict):
        return {name: _plain(each, scrub) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each, scrub) for each in value]
    return scrub(value) if isinstance(value, str) else value
