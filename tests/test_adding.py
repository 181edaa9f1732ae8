"""A method, a selector, a network, a data set and a figure are each one new file and one line in their room's table.

All five are added to a copy, whose programs then know them by name. Figures are drawn in `report/test_figures.py`.
"""

import difflib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]

METHOD = '''"""mean: images that are pulled to the mean of the real ones."""

from dataclasses import dataclass
from typing import ClassVar

from ddcore.methods.matching import Matching, MatchingRun
from ddcore.problem import Problem
from ddcore.runtime import Session
from ddcore.synthesis import Part, Shard


@dataclass(frozen=True)
class Mean(Matching):
    """Images that are pulled to the mean of the real ones."""

    name: ClassVar[str] = "mean"

    def start(self, problem: Problem, session: Session) -> "MeanRun":
        return MeanRun(self, problem, session)


class MeanRun(MatchingRun):
    def gradient(self, shard: Shard) -> Part:
        apart = self.x - self.problem.task.inputs(self.real.x).mean(0)
        return Part({"x": apart}, {"loss": float(apart.square().mean())})
'''
SELECTOR = '''"""First: the members that come first."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ddcore.problem import Problem
from ddcore.runtime import Session
from ddcore.selection.selector import Selector


@dataclass(frozen=True)
class First(Selector):
    """The members that come first."""

    name: ClassVar[str] = "first"

    def select(self, problem: Problem, session: Session) -> Tensor:
        return torch.cat([members[:count] for members, count in problem.groups()])
'''
FIGURE = '''"""The number of results."""

from matplotlib.figure import Figure

from ddcore.report.figures import FigureSpec
from ddcore.report.records import Records


def draw(records: Records) -> tuple[Figure, str] | None:
    figure = Figure()
    figure.subplots().bar(["results"], [len(records["results"])])
    return figure, f"{len(records['results'])} results."


FIGURE = FigureSpec("count", "How many results", "A bar.", draw)
'''


@dataclass(frozen=True)
class Addition:
    """A new file of a room, and the line that its table gets after another one."""

    room: str
    file: str
    content: str
    table: str
    after: str
    line: str


def renamed(path: str, old: str, new: str) -> str:
    """Return a file of the repository with a name changed."""
    return (REPO / path).read_text().replace(old, new)


ADDITIONS = {
    "method": Addition("methods", "mean.py", METHOD, "registry.py", '    "krr": "KRR",\n', '    "mean": "Mean",\n'),
    "selector": Addition(
        "selection", "first.py", SELECTOR, "registry.py", '    "entropy": "Entropy",\n', '    "first": "First",\n'
    ),
    "network": Addition(
        "nets",
        "perceptron.py",
        renamed("ddcore/nets/mlp.py", "MLP", "Perceptron"),
        "registry.py",
        '    "mlp": Net("images", "mlp.MLP"),\n',
        '    "perceptron": Net("images", "perceptron.Perceptron"),\n',
    ),
    "data set": Addition(
        "data",
        "numerals.py",
        renamed("ddcore/data/digits.py", '"digits"', '"numerals"'),
        "registry.py",
        '    "digits",\n',
        '    "numerals",\n',
    ),
    "figure": Addition("report", "figure_count.py", FIGURE, "figures.py", '    "curves",\n', '    "count",\n'),
}


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    """A copy of the library and its programs, with everything added."""
    copy = tmp_path_factory.mktemp("copy")
    for folder in ("ddcore", "kernels", "scripts"):
        shutil.copytree(REPO / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for each in ADDITIONS.values():
        room = copy / "ddcore" / each.room
        (room / each.file).write_text(each.content)
        before = (room / each.table).read_text()
        assert before.count(each.after) == 1, f"the table of {each.room} has another form"
        (room / each.table).write_text(before.replace(each.after, each.after + each.line))
    return copy


@pytest.fixture(scope="module")
def program(copied):
    """Run Python in the copy and return what it prints."""

    def run(*words: object) -> str:
        environment = {**os.environ, "PYTHONPATH": f"{copied}:{copied / 'scripts'}", "OMP_NUM_THREADS": "1"}
        ended = subprocess.run(
            [sys.executable, *map(str, words)], env=environment, cwd=copied, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return run


@pytest.mark.parametrize("kind", ADDITIONS)
def test_it_is_one_file_and_one_line(copied, kind):
    room, addition = f"ddcore/{ADDITIONS[kind].room}", ADDITIONS[kind]
    assert not (REPO / room / addition.file).exists() and (copied / room / addition.file).exists()
    tables = [(root / room / addition.table).read_text().splitlines(keepends=True) for root in (REPO, copied)]
    changes = [line for line in difflib.ndiff(*tables) if line[0] in "+-"]
    assert changes == [f"+ {addition.line}"]


def test_nothing_else_differs(copied):
    added = {f"ddcore/{each.room}/{each.file}" for each in ADDITIONS.values()}
    changed = {f"ddcore/{each.room}/{each.table}" for each in ADDITIONS.values()}
    for path in copied.rglob("*.py"):
        name = path.relative_to(copied).as_posix()
        if name not in added | changed:
            assert path.read_bytes() == (REPO / name).read_bytes(), name


def test_a_run_knows_all_of_them_by_name(program, tmp_path):
    out = tmp_path / "mean"
    shared = ["--dataset", "numerals", "--quick", "--budget", 10, "--profile", "cpu", "--out", out]
    said = program("scripts/distill.py", "mean", *shared, "--net", "perceptron", "--init", "first", "--steps", 2)
    assert f"10 members of numerals by mean: {out}" in said and (out / "done").exists()
    code = (
        "import sys; from ddcore import DistilledSet; from ddcore.comparison import entries; "
        "from ddcore.report.figures import REPORT, figures_of; "
        "small = DistilledSet.load(sys.argv[1]); print(small.method, small.dataset, small.options['net'], "
        "small.options['init'], *(entry.title for entry in entries('first,mean:shards=2', {})), "
        "'count' in [figure.anchor for figure in figures_of(REPORT)])"
    )
    assert program("-c", code, out).split() == [
        "mean",
        "numerals",
        "perceptron",
        "first",
        "first",
        "mean:shards=2",
        "True",
    ]


@pytest.mark.parametrize(
    ("script", "summary"),
    [("distill", "Images that are pulled to the mean"), ("select_subset", "The members that come first.")],
)
def test_the_help_text_shows_it(program, script, summary):
    assert summary in program(f"scripts/{script}.py", "--help")
