"""From the table of stages to the commands of one job, with an estimate of time and disk for each."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ddcore.job.table import Part, Stage

LAUNCH_SECONDS = 8.0
"""Imports of a launched program, and reading the data, on the reference machine."""

QUICK_SECONDS = 4.0
REFERENCE_CORES = 2
GPU_GAIN = 8.0
"""How much faster a GPU works through its longer schedules than two cores through theirs: a guess, to be measured."""


@dataclass(frozen=True)
class Choices:
    """What decides a job's results.

    Attributes:
        profile: ``cpu`` or ``gpu``.
        quick: toy size.
        seed: of all draws.
        seeds: how many everywhere, with all comparisons; None for the default job.
        dataset: the one that was asked for, as in ``--dataset``; None for the job's own.
        budget: members of its small set; None for the plan's own choice.
    """

    profile: str
    quick: bool = False
    seed: int = 0
    seeds: int | None = None
    dataset: str | None = None
    budget: int | None = None


@dataclass(frozen=True)
class Planned:
    """A stage of this job.

    Attributes:
        name: ``dataset/stage``; also its run folder below the job's.
        dataset: the data set's name.
        words: program and options; folders of other stages as ``@dataset/stage``.
        needs: names of the stages that it reads.
        folders: run folders below the job's that hold a ``done`` when it is finished.
        estimate: wall seconds.
        megabytes: on disk.
        spread: whether several processes share its work.
    """

    name: str
    dataset: str
    words: tuple[str, ...]
    needs: tuple[str, ...]
    folders: tuple[str, ...]
    estimate: float
    megabytes: float
    spread: bool

    def arguments(self, out: Path) -> list[str]:
        """Return the program's options with the folders below `out`."""
        return [str(out / word[1:]) if word.startswith("@") else word for word in self.words[1:]]

    def shown(self) -> list[str]:
        """Return the command as it reads on any machine, with the job in ``runs``."""
        return ["scripts/" + self.words[0], *self.arguments(Path("runs"))]


def plan(parts: Sequence[Part], choices: Choices, cores: int) -> list[Planned]:
    """Return the stages of a job in the order in which they run."""
    found: list[Planned] = []
    for part in parts:
        sets: dict[str, int] = {}
        for stage in [*part.stages, *(part.comparisons if choices.seeds else ())]:
            words = _words(part, stage, choices)
            seeds = int(words[words.index("--seeds") + 1]) if "--seeds" in words else 1
            pooled = [sets[word[1:]] for flag, word in pairwise(words) if flag == "--set"]
            makes_sets = stage.words.startswith(("select_subset", "distill"))
            sets[stage.name] = seeds if makes_sets else 1
            name = f"{part.dataset}/{stage.name}"
            several = makes_sets and seeds > 1
            found.append(
                Planned(
                    name=name,
                    dataset=part.dataset,
                    words=tuple(f"@{part.dataset}/{word[1:]}" if word[0] == "@" else word for word in words)
                    + _shared(part, name, choices),
                    needs=tuple(f"{part.dataset}/{word[1:]}" for word in words if word[0] == "@"),
                    folders=tuple(f"{name}/seed-{choices.seed + k}" for k in range(seeds)) if several else (name,),
                    estimate=_estimate(stage, seeds * (pooled[0] if pooled else 1), choices, cores),
                    megabytes=2 if choices.quick else stage.megabytes * (seeds if several else 1),
                    spread=stage.spread,
                )
            )
    return found


def _words(part: Part, stage: Stage, choices: Choices) -> list[str]:
    """Fill numbers of members and seeds into a stage's words."""
    whole, half, small = part.quick if choices.quick else part.members
    few, many, draws, sets = (choices.seeds, choices.seeds, 5, 3) if choices.seeds else (1, 3, 1, 3)
    if choices.quick and not choices.seeds:
        few, many, draws, sets = 1, 1, 1, 1
    text = stage.words.format(whole=whole, half=half, small=small, few=few, many=many, draws=draws, sets=sets)
    return shlex.split(text)


def _shared(part: Part, name: str, choices: Choices) -> tuple[str, ...]:
    """Return the options that every stage gets."""
    seed = ("--seed", str(choices.seed)) if choices.seed else ()
    quick = ("--quick",) if choices.quick else ()
    return ("--dataset", part.words or part.dataset, *seed, "--profile", choices.profile, *quick, "--out", f"@{name}")


def _estimate(stage: Stage, times: int, choices: Choices, cores: int) -> float:
    """Return wall seconds, from the minutes measured on two cores; more than 16 cores are not expected to help."""
    if choices.quick:
        return LAUNCH_SECONDS + QUICK_SECONDS
    gain = GPU_GAIN if choices.profile == "gpu" else min(cores, 16) / REFERENCE_CORES
    return LAUNCH_SECONDS + stage.minutes * 60 * times / gain
