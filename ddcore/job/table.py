"""The stages and the results of the whole job, as data.

Words of a stage: ``@name`` stands for the run folder of another stage of the same data set, which makes the stage
need it; ``{whole}``, ``{half}`` and ``{small}`` stand for numbers of members; ``{few}``, ``{many}``, ``{draws}`` and
``{sets}`` for numbers of seeds: 1, 3, 1 and 3 by default, K, K, 5 and 3 with ``--seeds K``, 1 with ``--quick``.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One program to run.

    Attributes:
        name: its run folder's name.
        words: the program under ``scripts/`` and its options, without those that all stages share.
        minutes: of wall time for one seed, rounded from runs on one thread.
        megabytes: on disk.
        spread: whether several processes share its work on several GPUs.
    """

    name: str
    words: str
    minutes: float
    megabytes: float = 5
    spread: bool = False


@dataclass(frozen=True)
class Line:
    """One row of a result: a network's score in a stage, and what it should reach (None: only compared).

    Attributes:
        label: what was trained on; empty for the result itself.
        stage: whose ``scores.json`` is read.
        net: the network, as it was asked for.
        over: the accuracy to exceed, a fraction.
        loses_under: less than this accuracy may be lost against the stage ``baseline``, a fraction.
        aim: the stricter figure that the project sets itself, in words.
    """

    label: str
    stage: str
    net: str = "default"
    over: float | None = None
    loses_under: float | None = None
    aim: str = ""

    @property
    def goal(self) -> str:
        """The goal in words; empty where there is none."""
        if self.over is not None:
            return f"over {100 * self.over:g} %"
        return "" if self.loses_under is None else f"loses under {100 * self.loses_under:g} point"


@dataclass(frozen=True)
class Result:
    """One of the results that the job is for: its own line first, then those that it is compared with."""

    name: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Part:
    """What the job does on one data set.

    Attributes:
        dataset: the data set's name.
        title: the same for a reader.
        members: of the whole training set, its half, and the small set.
        quick: the same three for ``--quick``.
        megabytes: of data to download.
        stages: in the order in which they run.
        results: what is looked for.
        comparisons: stages that run only when ``--seeds`` is given, after the others.
        words: what ``--dataset`` gets; empty where that is the data set's name.
    """

    dataset: str
    title: str
    members: tuple[int, int, int]
    quick: tuple[int, int, int]
    megabytes: float
    stages: tuple[Stage, ...]
    results: tuple[Result, ...]
    comparisons: tuple[Stage, ...] = ()
    words: str = ""


FASHION_MNIST = Part(
    dataset="fashion_mnist",
    title="Fashion-MNIST",
    members=(60000, 30000, 600),
    quick=(2000, 1000, 100),
    megabytes=90,
    stages=(
        Stage("teacher", "train_baseline.py --part fit --seeds 2", 4, 40),
        Stage("baseline", "train_baseline.py --part all --seeds {few}", 4),
        Stage(
            "half", "select_subset.py random --budget {half} --labels soft --temperature 4 --teacher @teacher", 0.2, 30
        ),
        Stage("half-soft", "evaluate.py --set @half --seeds {few}", 4),
        Stage("small", "distill.py frepo --budget {small} --teacher @teacher", 7, 20, spread=True),
        Stage("small-soft", "evaluate.py --set @small --nets default,convnet --seeds {many}", 1.5),
        Stage("small-hard", "evaluate.py --set @small --labels hard --recipe default --seeds {many}", 0.6),
    ),
    results=(
        Result("Fashion-MNIST, all 60,000 members", (Line("", "baseline", over=0.90, aim="92.5 %"),)),
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
                Line("", "small-soft", over=0.80, aim="88.0 %"),
                Line("the same members, the field's ConvNet", "small-soft", net="convnet", aim="86.5 %"),
                Line("the same members, hard labels", "small-hard", aim="83 %"),
                Line("the members it began from, soft labels", "small-start-soft"),
                Line("the members it began from, hard labels", "small-start-hard"),
                Line("random members, soft labels", "random-small-soft"),
                Line("random members, hard labels", "random-small-hard"),
            ),
        ),
    ),
    comparisons=(
        Stage("half-hard", "evaluate.py --set @half --labels hard --seeds {few}", 4),
        Stage(
            "whole",
            "select_subset.py random --budget {whole} --labels soft --temperature 4 --teacher @teacher",
            0.2,
            60,
        ),
        Stage("whole-soft", "evaluate.py --set @whole --seeds {few}", 4),
        Stage(
            "small-start",
            "select_subset.py k-means --budget {small} --labels soft --temperature 4 --teacher @teacher",
            0.3,
        ),
        Stage("small-start-soft", "evaluate.py --set @small-start --seeds {many}", 0.6),
        Stage("small-start-hard", "evaluate.py --set @small-start --labels hard --recipe default --seeds {many}", 0.6),
        Stage(
            "random-small",
            "select_subset.py random --budget {small} --labels soft --temperature 4 --teacher @teacher --seeds {many}",
            0.3,
        ),
        Stage("random-small-soft", "evaluate.py --set @random-small", 0.6),
        Stage("random-small-hard", "evaluate.py --set @random-small --labels hard --recipe default", 0.6),
    ),
)

IMDB = Part(
    dataset="imdb",
    title="IMDB",
    members=(25000, 12500, 250),
    quick=(2000, 1000, 40),
    megabytes=90,
    stages=(
        Stage("teacher", "train_baseline.py --part fit", 0.3, 10),
        Stage("baseline", "train_baseline.py --part all", 0.5, 10),
        Stage(
            "half",
            "select_subset.py margin --budget {half} --labels soft --temperature 0.5 --teacher-share 0.5"
            " --teacher @teacher --seeds {draws}",
            1,
            40,
        ),
        Stage("half-hard", "evaluate.py --set @half --labels hard", 0.1),
        Stage("small", "distill.py cover --budget {small} --seeds {sets}", 0.5),
        Stage("small-hard", "evaluate.py --set @small --nets linear,bag,cnn", 1),
    ),
    results=(
        Result("IMDB, all 25,000 members", (Line("", "baseline", over=0.90, aim="92.0 %"),)),
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
                Line("", "small-hard", net="linear", over=0.80, aim="85.5 %"),
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
        Stage("random-packs", "distill.py cover --candidates 1 --strongest 1 --budget {small} --seeds {sets}", 1),
        Stage("random-packs-hard", "evaluate.py --set @random-packs --nets linear,bag,cnn", 1),
        Stage("half-soft", "evaluate.py --set @half", 0.1),
        Stage("random-half", "select_subset.py random --budget {half} --seeds {draws}", 0.2, 40),
        Stage("random-half-hard", "evaluate.py --set @random-half", 0.5),
        Stage(
            "whole",
            "select_subset.py random --budget {whole} --labels soft --temperature 0.5 --teacher-share 0.5"
            " --teacher @teacher",
            0.3,
            30,
        ),
        Stage("whole-soft", "evaluate.py --set @whole", 1),
        Stage(
            "random-small",
            "select_subset.py random --budget {small} --labels soft --temperature 0.5 --teacher @teacher"
            " --seeds {sets}",
            0.2,
        ),
        Stage("random-small-soft", "evaluate.py --set @random-small --nets linear,bag,cnn", 1),
        Stage("random-small-hard", "evaluate.py --set @random-small --nets linear,bag,cnn --labels hard", 1),
    ),
)

DIGITS = Part(
    dataset="digits",
    title="digits",
    members=(1430, 710, 100),
    quick=(1430, 710, 100),
    megabytes=0,
    stages=(
        Stage("teacher", "train_baseline.py --part fit", 0.2),
        Stage("baseline", "train_baseline.py --part all --seeds {few}", 0.2),
        Stage("half", "select_subset.py random --budget {half} --labels soft --teacher @teacher", 0.1),
        Stage("half-soft", "evaluate.py --set @half --seeds {few}", 0.2),
        Stage("small", "distill.py frepo --budget {small} --teacher @teacher", 0.5, spread=True),
        Stage("small-soft", "evaluate.py --set @small --nets default,convnet --seeds {many}", 0.2),
    ),
    results=(
        Result("digits, all 1,437 members", (Line("", "baseline"),)),
        Result("digits, 710 members", (Line("", "half-soft"),)),
        Result(
            "digits, 100 members",
            (Line("", "small-soft"), Line("the same members, the field's ConvNet", "small-soft", net="convnet")),
        ),
    ),
)

PARTS = {part.dataset: part for part in (FASHION_MNIST, IMDB, DIGITS)}
