"""The compact records that everything in a report is made from, as they lie in ``records.json``.

They are plain JSON values: accuracies are fractions, times wall seconds, memory bytes; no path of the machine that
made them is in them.
"""

import re
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from ddcore.errors import DDCoreError
from ddcore.runtime import read_json

FORMAT = 1
NAME = "records.json"


class Change(TypedDict):
    """What training on a set did to networks that were trained before; fractions over the networks."""

    mean: float
    std: float
    n: int


class Score(TypedDict):
    """What one network learned from one set, or from several sets of equal size, over all seeds.

    `asked` is the name that was asked for, such as ``default``, `net` the network's own. `values` go set by set and,
    within a set, seed by seed. `tokens` is the length of the whole set, for texts. `prefix` and `subset` are how many
    members were taken of a larger set, its first ones or random ones, `folder` the name of the set's folder. `changes`
    has ``before``, ``turned_before``, ``turned`` and ``others_lose`` as `ddcore.training.evaluate` gives them; `seen`
    counts the networks that were also used to make the set, None where that is not known.
    """

    dataset: str
    asked: str
    net: str
    members: int
    test_members: int
    tested_on: str
    method: str
    labels: str
    tokens: int | None
    mean: float
    std: float
    values: list[float]
    seeds: list[int]
    seconds: float
    prefix: NotRequired[int | None]
    subset: NotRequired[int | None]
    folder: NotRequired[str]
    changes: NotRequired[dict[str, Change]]
    seen: NotRequired[int | None]


class Loss(TypedDict):
    """Accuracy lost against a baseline, a fraction; negative where nothing is lost.

    `paired` says that every value was subtracted from the baseline's value of the same seed.
    """

    mean: float
    std: float
    n: int
    paired: bool


class Row(TypedDict):
    """One line of the table of results. `fault` says why there is no score, else it is empty.

    `met` is None without a bar or without a score; `aim` is a stricter figure in words. `seconds` adds up all stages
    that lead to the score, the teacher's among them, and the peak is their largest.
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


class Result(TypedDict):
    """A result with its goal, in the first row, and the rows that it is compared with."""

    name: str
    dataset: str
    rows: list[Row]


class Stage(TypedDict):
    """What a stage cost, or why it did not finish."""

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


class Curve(TypedDict):
    """One logged value of a stage over its steps."""

    stage: str
    dataset: str
    key: str
    steps: list[int]
    values: list[float]


class Confusion(TypedDict):
    """Counts of true (rows) and predicted class, summed over seeds."""

    dataset: str
    title: str
    classes: list[str]
    counts: list[list[int]]


class Member(TypedDict):
    """One readable member of a text set; `probability` is its soft label for its own class."""

    label: str
    probability: float | None
    words: int
    text: str


class Sample(TypedDict):
    """Some members of a text set."""

    dataset: str
    title: str
    members: list[Member]


class Grid(TypedDict):
    """A picture of an image set, drawn beside the records."""

    dataset: str
    file: str
    title: str
    alt: str


class Records(TypedDict):
    """A whole report."""

    format: int
    profile: str
    seed: int | None
    started: str
    seconds: float | None
    environment: dict[str, Any]
    protocols: dict[str, dict[str, Any]]
    results: list[Result]
    stages: list[Stage]
    curves: list[Curve]
    confusions: list[Confusion]
    samples: list[Sample]
    grids: list[Grid]
    problems: list[str]


def read_records(folder: Path) -> Records:
    """Read ``records.json`` of a report folder.

    Raises:
        DDCoreError: it is missing, damaged or of another format.
    """
    found = read_json(folder / NAME)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise DDCoreError(f"{folder / NAME} is not a record that this ddcore reads: make the report anew from its runs")
    return found  # type: ignore[return-value]


class Scrub:
    """Replaces this machine's paths in a text: the job's folder, the data folder, and the parents of all others."""

    def __init__(self, root: Path, data: str = "") -> None:
        known = {str(root.resolve()): "runs", str(root.absolute()): "runs"}
        if data.startswith("/"):
            known[data.rstrip("/")] = "data"
        self.known = sorted(known.items(), key=lambda pair: -len(pair[0]))

    def __call__(self, text: str) -> str:
        for path, name in self.known:
            text = re.sub(re.escape(path) + r"(?=/|\s|$|['\",;:)])", name, text)
        return re.sub(r"(?<![\w.])/(?:[\w.+@-]+/)+(?=[\w.+@-])", "", text)
