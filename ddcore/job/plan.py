"""The stages of one job: their command lines, and an estimate of time and disk for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ddcore.draws import FRESH
from ddcore.job.table import Constant, DatasetPlan, Output, Seeds, Size, Stage, Value
from ddcore.runtime import slowness

LAUNCH_SECONDS = 8.0
"""Imports of a launched program, and reading the data, on the reference machine."""

QUICK_SECONDS = 4.0
REFERENCE_CORES = 2
GPU_GAIN = 8.0
"""Assumed speed of a GPU on its longer schedules, relative to two cores on theirs; not measured."""

POSITIONAL = ("method", "selector")
SET_PROGRAMS = ("select_subset", "distill")


@dataclass(frozen=True)
class Choices:
    """The options that decide a job's results.

    Attributes:
        profile: ``cpu`` or ``gpu``.
        quick: toy size.
        seed: of all draws.
        seeds: number of seeds everywhere, with all comparisons; None for the default job.
        dataset: the value of ``--dataset``; None for the two default data sets.
        budget: members of the small set of that data set; None for the plan's own choice.
    """

    profile: str
    quick: bool = False
    seed: int = 0
    seeds: int | None = None
    dataset: str | None = None
    budget: int | None = None


@dataclass(frozen=True, kw_only=True)
class Planned(Stage):
    """A stage of this job: named ``dataset/stage``, as its run folder below the job's, and with all its options.

    Attributes:
        dataset: the data set's name.
        folders: run folders below the job's that hold a ``done`` when it is finished.
        estimate: wall seconds.
    """

    dataset: str
    folders: tuple[str, ...]
    estimate: float

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the stages whose run folders it reads."""
        outputs = [value.stage for value in self.options.values() if isinstance(value, Output)]
        return tuple(stage for stage in outputs if stage != self.name)

    def arguments(self, out: Path) -> list[str]:
        """Return the words of the command line after the program, with the job's folder at `out`."""
        first = [str(self.options[name]) for name in POSITIONAL if name in self.options]
        rest = {name: value for name, value in self.options.items() if name not in POSITIONAL}
        return [*first, *(word for name, value in rest.items() for word in _words(name, value, out))]

    def command(self, out: Path = Path("runs")) -> list[str]:
        """Return the command line; by default as ``job.json`` records it, the same on every machine."""
        return [f"scripts/{self.program}.py", *self.arguments(out)]


def _words(name: str, value: Value, out: Path) -> list[str]:
    """Return an option as words of a command line."""
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    constant = str(out / value.stage) if isinstance(value, Output) else value
    return [f"--{flag}", ",".join(constant) if isinstance(constant, tuple) else str(constant)]


def plan(plans: Sequence[DatasetPlan], choices: Choices, cores: int) -> list[Planned]:
    """Return the stages of a job in the order in which they run."""
    return [stage for each in plans for stage in _planned(each, choices, cores)]


def _planned(plan: DatasetPlan, choices: Choices, cores: int) -> list[Planned]:
    sets: dict[Value, int] = {}
    stages = []
    for stage in [*plan.stages, *(plan.comparisons if choices.seeds else ())]:
        name = f"{plan.dataset}/{stage.name}"
        seeds = _resolved(stage.options.get("seeds", 1), plan, choices)
        assert isinstance(seeds, int)
        several = stage.program in SET_PROGRAMS and seeds > 1
        sets[Output(stage.name)] = seeds if several else 1
        trainings = seeds * sets.get(stage.options.get("set", ""), 1)
        own = {option: _resolved(value, plan, choices) for option, value in stage.options.items()}
        stages.append(
            Planned(
                name=name,
                program=stage.program,
                options=own | _shared(plan, name, stage, choices),
                minutes=stage.minutes,
                folders=tuple(f"{name}/seed-{choices.seed + k}" for k in range(seeds)) if several else (name,),
                estimate=_estimate(stage, trainings, choices, cores),
                megabytes=2 if choices.quick else stage.megabytes * (seeds if several else 1),
                spread=stage.spread,
                dataset=plan.dataset,
            )
        )
    return stages


def _resolved(value: Value, plan: DatasetPlan, choices: Choices) -> Constant | Output:
    """Return the value of an option in this job: numbers for sizes and seeds, full names for stages."""
    if isinstance(value, Size):
        return (plan.quick if choices.quick else plan.members)[value.value]
    if isinstance(value, Seeds):
        several = (choices.seeds, choices.seeds, 5, 3) if choices.seeds else (1,) * 4 if choices.quick else (1, 3, 1, 3)
        return several[value.value]
    return Output(f"{plan.dataset}/{value.stage}") if isinstance(value, Output) else value


def _shared(plan: DatasetPlan, name: str, stage: Stage, choices: Choices) -> dict[str, Constant | Output]:
    """Return the options that every stage gets."""
    judged = stage.program == "evaluate" or stage.options.get("part") == "all"
    options: dict[str, Constant | Output] = {
        "dataset": plan.address or plan.dataset,
        "seed": choices.seed + FRESH * judged,
        "profile": choices.profile,
        "quick": choices.quick,
        "out": Output(name),
    }
    return {option: value for option, value in options.items() if value}


def _estimate(stage: Stage, trainings: int, choices: Choices, cores: int) -> float:
    """Return wall seconds, from the minutes measured on two cores; more than 16 cores are assumed not to help.

    Only the times of a CPU at full size are scaled by this machine's speed: the others are rough guesses.
    """
    if choices.quick:
        return LAUNCH_SECONDS + QUICK_SECONDS
    gain = GPU_GAIN if choices.profile == "gpu" else min(cores, 16) / REFERENCE_CORES
    pace = 1.0 if choices.profile == "gpu" else slowness()
    return LAUNCH_SECONDS + pace * stage.minutes * 60 * trainings / gain
