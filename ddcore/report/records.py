"""The records of a report, as ``records.json`` holds them; every page and figure is written from them alone.

They are plain JSON values: accuracies are fractions, times wall seconds, memory bytes. They hold no absolute path of
the machine that wrote them.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NotRequired, TypedDict, TypeVar, cast

from ddcore.errors import DDCoreError, require
from ddcore.runtime import JSONObject, fault_of, file_name, read_json, schema_of
from ddcore.training import LEDGER, Loss, Place, Reading, Score, label_of, place_of, read_ledger

FORMAT = 1
NAME = "records.json"

Key = TypeVar("Key")
Item = TypeVar("Item")


class ResultRow(TypedDict):
    """One row of the table of results. `fault` says why there is no score; otherwise it is empty.

    `met` is None without a goal or a score; `aim` is a stricter target in words. `seconds` is the sum over all stages
    that lead to the score, including the teacher's; the peak is the largest of them. `above_random` says whether the
    score is above that of random members by more than both spreads, if there is such a row to compare it with.
    `protocol` is the key of the score's protocol. `commits` and `machines` are those of the stages that lead to the
    score, `started` is when the last of them was. `reading` is the score's place in the ledger of test readings.
    """

    label: str
    goal: str
    aim: str
    met: bool | None
    score: Score | None
    loss: Loss | None
    fault: str
    seconds: float | None
    peak_memory_bytes: int | None
    commands: list[str]
    above_random: NotRequired[bool]
    protocol: NotRequired[str]
    commits: NotRequired[list[str]]
    machines: NotRequired[list[str]]
    started: NotRequired[str]
    reading: NotRequired[Place]


class ResultRecord(TypedDict):
    """A result: the first row has its goal, the others are compared with it."""

    name: str
    dataset: str
    rows: list[ResultRow]


class StageRecord(TypedDict):
    """The cost of a stage, or why it did not finish."""

    name: str
    dataset: str
    folder: str
    status: str
    error: str
    seconds: float | None
    peak_memory_bytes: int | None
    peak_gpu_memory_bytes: int | None
    gpu_utilisation: float | None
    command: str
    commit: NotRequired[str]
    machines: NotRequired[list[str]]
    started: NotRequired[str]


class Curve(TypedDict):
    """One logged quantity of a stage over its steps."""

    stage: str
    dataset: str
    key: str
    steps: list[int]
    values: list[float]


class Titled(TypedDict):
    """What a picture or a text shows, and of which data set."""

    dataset: str
    title: str


class Confusion(Titled):
    """Counts of true (rows) and predicted class, summed over seeds."""

    classes: list[str]
    counts: list[list[int]]


class Member(TypedDict):
    """One readable member of a text set; `probability` is its soft label for its own class."""

    label: str
    probability: float | None
    words: int
    text: str


class Sample(Titled):
    """Some members of a text set."""

    members: list[Member]


class Grid(Titled):
    """A picture of an image set, in a file beside the records."""

    file: str
    alt: str


class Records(TypedDict):
    """A whole report."""

    format: int
    profile: str
    seed: int | None
    started: str
    seconds: float | None
    environment: JSONObject
    protocols: dict[str, JSONObject]
    results: list[ResultRecord]
    stages: list[StageRecord]
    curves: list[Curve]
    confusions: list[Confusion]
    samples: list[Sample]
    grids: list[Grid]
    problems: list[str]


def read_records(folder: Path) -> Records:
    """Return the records of a report folder.

    Raises:
        DDCoreError: it is missing, damaged or of another format, or names a picture outside its folder of figures.
    """
    content = read_json(folder / NAME)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DDCoreError(f"{folder / NAME} has another format: write the report again from its runs")
    fault = fault_of(content, schema_of(Records)) or _uneven(content)
    require(not fault, f"{folder / NAME} is damaged: {fault}", DDCoreError)
    for grid in content["grids"]:
        name = grid["file"].removeprefix("figures/")
        own = grid["file"] == f"figures/{file_name(name)}" and name.endswith(".png")
        require(own, f"{folder / NAME} is damaged: it names the picture {grid['file']!r}", DDCoreError)
    records = cast(Records, content)
    _name_controls(records)
    mark_readings(records, ledger_beside(folder))
    return records


def ledger_beside(folder: Path) -> list[Reading] | None:
    """Return the readings of the ledger in a report's folder, or in the folder above it; None without one.

    Raises:
        DDCoreError: the ledger is damaged.
    """
    path = next((path for path in (folder / LEDGER, folder.absolute().parent / LEDGER) if path.is_file()), None)
    return None if path is None else read_ledger(path)


def mark_readings(records: Records, readings: list[Reading] | None) -> None:
    """Note in each row its score's place in the ledger, if the ledger holds it; None leaves the records as they are."""
    for _, row in rows_of(records) if readings is not None else ():
        row.pop("reading", None)
        tested = row["score"] is not None and row["score"]["tested_on"] == "test"
        if tested and row["score"] and (place := place_of(readings or [], row["score"])):
            row["reading"] = place


def _name_controls(records: Records) -> None:
    """Call controls by their own names in the scores of earlier versions, by the options in their protocols."""
    for _, row in rows_of(records):
        if row["score"]:
            source = records["protocols"].get(row.get("protocol", ""), {}).get("set") or {}
            row["score"]["method"] = label_of(row["score"]["method"], source.get("options"))


def _uneven(records: JSONObject) -> str:
    """Return which parts of records do not belong together; empty if all do."""
    for each in records["curves"]:
        if not each["steps"] or len(each["steps"]) != len(each["values"]):
            return f"the curve '{each['key']}' of '{each['stage']}' has not a value for each step"
    for each in records["confusions"]:
        size = len(each["classes"])
        if not size or [len(row) for row in each["counts"]] != [size] * size:
            return f"the confusion matrix '{each['title']}' has not a count for each pair of classes"
    for result in records["results"]:
        if not result["rows"] or any(row["score"] and not row["score"]["members"] > 0 for row in result["rows"]):
            return f"the result '{result['name']}' has no rows, or a row without members"
    return ""


def grouped(pairs: Iterable[tuple[Key, Item]]) -> dict[Key, list[Item]]:
    """Return the items of each key, keys and items in the order of the pairs."""
    groups: dict[Key, list[Item]] = {}
    for key, item in pairs:
        groups.setdefault(key, []).append(item)
    return groups


def rows_of(records: Records) -> list[tuple[ResultRecord, ResultRow]]:
    """Return every row of the table of results, after its result."""
    return [(result, row) for result in records["results"] for row in result["rows"]]


def scores_on_test(records: Records) -> list[Score]:
    """Return the scores of all rows that were measured on the test set."""
    scores = [row["score"] for _, row in rows_of(records)]
    return [score for score in scores if score and score["tested_on"] == "test"]


class Scrub:
    """Replaces absolute paths in a text: the job's folder, the data folder, and the parents of all others."""

    def __init__(self, root: Path, data: str = "") -> None:
        known = {str(root.resolve()): "runs", str(root.absolute()): "runs"}
        if data.startswith("/"):
            known[data.rstrip("/")] = "data"
        self.known = sorted(known.items(), key=lambda pair: -len(pair[0]))

    def __call__(self, text: str) -> str:
        for path, name in self.known:
            text = re.sub(re.escape(path) + r"(?=/|\s|$|['\",;:)])", name, text)
        return re.sub(r"(?<![\w.])/(?:[\w.+@-]+/)+(?=[\w.+@-])", "", text)
