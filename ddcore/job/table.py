"""The stages and the results of the whole job, as data.

A stage is a program with its options. The value of an option is a constant or a reference that `ddcore.job.plan`
resolves: `Output` (the run folder of another stage of the same data set), `Size` (a number of members) or `Seeds` (a
number of seeds).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from ddcore.nets import NETS

# Members of the whole training set, of half of it, and of the small set.
Size = Enum("Size", {"WHOLE": 0, "HALF": 1, "SMALL": 2})
# Numbers of seeds: 1, 3, 1 and 3 by default; K, K, 5 and 3 with ``--seeds K``; 1 with ``--quick`` alone.
Seeds = Enum("Seeds", {"FEW": 0, "MANY": 1, "DRAWS": 2, "SETS": 3})


@dataclass(frozen=True)
class Output:
    """The run folder of the stage of this name; a stage with such an option needs that stage."""

    stage: str


Constant = str | int | float | bool | tuple[str, ...]
Value = Constant | Output | Size | Seeds


@dataclass(frozen=True)
class Stage:
    """One program to run.

    Attributes:
        name: its run folder's name.
        program: the file under ``scripts/``, without its suffix.
        options: of the program, in the order of the command line; the options that all stages share are not listed.
            ``method`` and ``selector`` are positional, False stands for ``--no-NAME``, a tuple is joined by commas.
        minutes: wall time for one seed, rounded from runs on one thread.
        megabytes: on disk.
        spread: whether several processes share its work on several GPUs.
    """

    name: str
    program: str
    options: Mapping[str, Value]
    minutes: float
    megabytes: float = 5
    spread: bool = False


@dataclass(frozen=True)
class Line:
    """One row of a result: a network's score in a stage, and its goal (without one it is only compared).

    Attributes:
        label: the training set in words; empty for the result itself.
        stage: whose ``scores.json`` is read.
        net: the network's name in ``--nets``.
        over: the accuracy to exceed, a fraction.
        loses_under: the accuracy loss against the stage ``baseline`` to stay below, a fraction.
        aim: the stricter target of the project, in words.
    """

    label: str
    stage: str
    net: str = "default"
    over: float | None = None
    loses_under: float | None = None
    aim: str = ""

    @property
    def goal(self) -> str:
        """The goal in words; empty without one."""
        if self.over is not None:
            return f"over {100 * self.over:g} %"
        return "" if self.loses_under is None else f"loses under {100 * self.loses_under:g} point"


@dataclass(frozen=True)
class Result:
    """One result of the job: its own line first, then the lines it is compared with."""

    name: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class DatasetPlan:
    """The stages of the job on one data set.

    Attributes:
        dataset: the data set's name.
        title: its name for a reader.
        members: of the whole training set, its half, and the small set.
        quick: the same three for ``--quick``.
        stages: in the order in which they run.
        results: to report.
        comparisons: stages that run only with ``--seeds``, after the others.
        address: the value of ``--dataset``; empty if that is the data set's name.
    """

    dataset: str
    title: str
    members: tuple[int, int, int]
    quick: tuple[int, int, int]
    stages: tuple[Stage, ...]
    results: tuple[Result, ...]
    comparisons: tuple[Stage, ...] = ()
    address: str = ""


TEACHER = Output("teacher")
CONVNET = f"ConvNet of width {NETS['convnet'].options['width']}"
# Labels of the teacher for images.
SOFT: dict[str, Value] = {"labels": "soft", "temperature": 4, "teacher": TEACHER}
TEXT_NETS = ("linear", "bag", "cnn")

FASHION_MNIST = DatasetPlan(
    dataset="fashion_mnist",
    title="Fashion-MNIST",
    members=(60000, 30000, 600),
    quick=(2000, 1000, 100),
    stages=(
        Stage("teacher", "train_baseline", dict(part="fit", seeds=2), 4, 40),
        Stage("baseline", "train_baseline", dict(part="all", seeds=Seeds.FEW), 4),
        Stage(
            "half",
            "select_subset",
            dict(selector="random", budget=Size.HALF, **SOFT),
            0.2,
            30,
        ),
        Stage("half-soft", "evaluate", dict(set=Output("half"), seeds=Seeds.FEW), 4),
        Stage("small", "distill", dict(method="frepo", budget=Size.SMALL, teacher=TEACHER), 7, 20, spread=True),
        Stage("small-soft", "evaluate", dict(set=Output("small"), nets=("default", "convnet"), seeds=Seeds.MANY), 1.5),
        Stage(
            "small-hard", "evaluate", dict(set=Output("small"), labels="hard", protocol="ddcore", seeds=Seeds.MANY), 0.6
        ),
    ),
    results=(
        Result("Fashion-MNIST, all 60,000 members", (Line("", "baseline", over=0.9, aim="92.5 %"),)),
        Result(
            "Fashion-MNIST, 30,000 members",
            (
                Line("", "half-soft", loses_under=0.01, aim="0.2 points at most"),
                Line("the same random members, hard labels", "half-hard", loses_under=0.01),
                Line("all 60,000 members, soft labels", "whole-soft"),
            ),
        ),
        Result(
            "Fashion-MNIST, 600 members",
            (
                Line("", "small-soft", over=0.8, aim="88.0 %"),
                Line(f"the same members, {CONVNET}", "small-soft", net="convnet", aim="86.5 %"),
                Line("the same members, hard labels", "small-hard", aim="83 %"),
                Line("the members it began from, soft labels", "small-start-soft"),
                Line("the members it began from, hard labels", "small-start-hard"),
                Line("random members, soft labels", "random-small-soft"),
                Line("random members, hard labels", "random-small-hard"),
            ),
        ),
    ),
    comparisons=(
        Stage("half-hard", "evaluate", dict(set=Output("half"), labels="hard", seeds=Seeds.FEW), 4),
        Stage(
            "whole",
            "select_subset",
            dict(selector="random", budget=Size.WHOLE, **SOFT),
            0.2,
            60,
        ),
        Stage("whole-soft", "evaluate", dict(set=Output("whole"), seeds=Seeds.FEW), 4),
        Stage(
            "small-start-soft",
            "evaluate",
            dict(set=Output("small"), members="start", teacher=TEACHER, seeds=Seeds.MANY),
            0.6,
        ),
        Stage(
            "small-start-hard",
            "evaluate",
            dict(set=Output("small"), members="start", labels="hard", protocol="ddcore", seeds=Seeds.MANY),
            0.6,
        ),
        Stage(
            "random-small", "select_subset", dict(selector="random", budget=Size.SMALL, **SOFT, seeds=Seeds.MANY), 0.3
        ),
        Stage("random-small-soft", "evaluate", dict(set=Output("random-small")), 0.6),
        Stage("random-small-hard", "evaluate", dict(set=Output("random-small"), labels="hard", protocol="ddcore"), 0.6),
    ),
)

IMDB = DatasetPlan(
    dataset="imdb",
    title="IMDB",
    members=(25000, 12500, 250),
    quick=(2000, 1000, 40),
    stages=(
        Stage("teacher", "train_baseline", dict(part="fit"), 0.3, 10),
        Stage("baseline", "train_baseline", dict(part="all"), 0.5, 10),
        Stage(
            "half",
            "select_subset",
            dict(
                selector="margin",
                budget=Size.HALF,
                labels="soft",
                temperature=0.5,
                teacher_share=0.5,
                teacher=TEACHER,
                seeds=Seeds.DRAWS,
            ),
            1,
            40,
        ),
        Stage("half-hard", "evaluate", dict(set=Output("half"), labels="hard"), 0.1),
        Stage("small", "distill", dict(method="cover", budget=Size.SMALL, seeds=Seeds.SETS), 0.5),
        Stage("small-hard", "evaluate", dict(set=Output("small"), nets=TEXT_NETS), 1),
    ),
    results=(
        Result(
            "IMDB, all 25,000 members",
            (
                Line("", "baseline", over=0.9, aim="92.0 %"),
                Line("without the reviews that are test reviews, too", "baseline-distinct"),
            ),
        ),
        Result(
            "IMDB, 12,500 members",
            (
                Line("", "half-hard", loses_under=0.01, aim="0.3 points at most"),
                Line("the same members, soft labels", "half-soft"),
                Line("random members, hard labels", "random-half-hard"),
                Line("all 25,000 members, soft labels", "whole-soft"),
            ),
        ),
        Result(
            "IMDB, 250 members",
            (
                Line("", "small-hard", net="linear", over=0.8, aim="85.5 %"),
                Line("the same members, embedding bag", "small-hard", net="bag", aim="84 %"),
                Line("the same members, CNN", "small-hard", net="cnn", aim="84.5 %"),
                Line("random clauses packed alike, linear", "random-packs-hard", net="linear"),
                Line("random clauses packed alike, CNN", "random-packs-hard", net="cnn"),
                Line("random reviews, linear", "random-small-hard", net="linear"),
                Line("random reviews, CNN", "random-small-hard", net="cnn"),
                Line("random reviews, soft labels, linear", "random-small-soft", net="linear"),
                Line("random reviews, soft labels, CNN", "random-small-soft", net="cnn"),
            ),
        ),
    ),
    comparisons=(
        Stage("baseline-distinct", "train_baseline", dict(part="distinct"), 0.5, 10),
        Stage(
            "random-packs",
            "distill",
            dict(method="cover", candidates=1, strongest=1, budget=Size.SMALL, seeds=Seeds.SETS),
            1,
        ),
        Stage("random-packs-hard", "evaluate", dict(set=Output("random-packs"), nets=TEXT_NETS), 1),
        Stage("half-soft", "evaluate", dict(set=Output("half")), 0.1),
        Stage("random-half", "select_subset", dict(selector="random", budget=Size.HALF, seeds=Seeds.DRAWS), 0.2, 40),
        Stage("random-half-hard", "evaluate", dict(set=Output("random-half")), 0.5),
        Stage(
            "whole",
            "select_subset",
            dict(
                selector="random", budget=Size.WHOLE, labels="soft", temperature=0.5, teacher_share=0.5, teacher=TEACHER
            ),
            0.3,
            30,
        ),
        Stage("whole-soft", "evaluate", dict(set=Output("whole")), 1),
        Stage(
            "random-small",
            "select_subset",
            dict(
                selector="random", budget=Size.SMALL, labels="soft", temperature=0.5, teacher=TEACHER, seeds=Seeds.SETS
            ),
            0.2,
        ),
        Stage("random-small-soft", "evaluate", dict(set=Output("random-small"), nets=TEXT_NETS), 1),
        Stage(
            "random-small-hard",
            "evaluate",
            dict(set=Output("random-small"), nets=TEXT_NETS, labels="hard"),
            1,
        ),
    ),
)

DIGITS = DatasetPlan(
    dataset="digits",
    title="digits",
    members=(1430, 710, 100),
    quick=(1430, 710, 100),
    stages=(
        Stage("teacher", "train_baseline", dict(part="fit"), 0.2),
        Stage("baseline", "train_baseline", dict(part="all", seeds=Seeds.FEW), 0.2),
        Stage(
            "half",
            "select_subset",
            dict(selector="random", budget=Size.HALF, labels="soft", teacher=TEACHER),
            0.1,
        ),
        Stage("half-soft", "evaluate", dict(set=Output("half"), seeds=Seeds.FEW), 0.2),
        Stage("small", "distill", dict(method="frepo", budget=Size.SMALL, teacher=TEACHER), 0.5, spread=True),
        Stage("small-soft", "evaluate", dict(set=Output("small"), nets=("default", "convnet"), seeds=Seeds.MANY), 0.2),
    ),
    results=(
        Result("digits, all 1,437 members", (Line("", "baseline"),)),
        Result("digits, 710 members", (Line("", "half-soft"),)),
        Result(
            "digits, 100 members",
            (Line("", "small-soft"), Line(f"the same members, {CONVNET}", "small-soft", net="convnet")),
        ),
    ),
)

PLANS = {plan.dataset: plan for plan in (FASHION_MNIST, IMDB, DIGITS)}
