"""How many outer steps fit into a given time: a short timed probe of a method, thrown away afterwards."""

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddcore.data import Task
from ddcore.runtime import Run, agreed, seconds_of
from ddcore.sets import DistilledSet
from ddcore.synthesis import GradientMethod, Loop, StagedMethod, Synthesis, Unrolling
from ddcore.training import Teacher

if TYPE_CHECKING:
    from accelerate import Accelerator

# A probe takes steps for this share of the time that is given, and never longer than so many seconds.
SHARE, LONGEST = 0.03, 20.0
MOST_STEPS = 10**9


@dataclass(frozen=True)
class Stage:
    """What the parts of one stage take, in seconds; a method without stages is one stage.

    Attributes:
        start: until the first step: members are chosen, networks begun, a mode of the engine is measured.
        check: one validation.
        step: one outer step.
        checks: validations of the stage, the one before the first step included.
        probed: steps that were timed.
    """

    start: float
    check: float
    step: float
    checks: int
    probed: int

    def seconds(self, steps: int) -> float:
        """Return what the stage takes with so many steps."""
        return self.start + self.checks * self.check + steps * self.step


@dataclass(frozen=True)
class Pace:
    """A time, turned into a number of steps.

    Attributes:
        steps: the method's option ``steps``.
        given: seconds that were to be filled.
        expected: seconds that these steps are expected to take; more than were given where even one step is too long.
        stages: the measured parts.
    """

    steps: int
    given: float
    expected: float
    stages: tuple[Stage, ...]

    def record(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return asdict(self) | {"stages": [asdict(stage) for stage in self.stages]}


def steps_within(seconds: float, expected: Callable[[int], float]) -> int:
    """Return the largest number of steps, at least 1, whose expected time is at most `seconds`.

    Args:
        seconds: given.
        expected: seconds by the number of steps; never falls as they grow.
    """
    low, high = 1, 2
    while high < MOST_STEPS and expected(high) <= seconds:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if expected(middle) <= seconds else (low, middle)
    return low


def paced(
    method: GradientMethod | StagedMethod,
    with_steps: Callable[[int], GradientMethod | StagedMethod],
    task: Task,
    budget: int,
    teacher: Teacher | None,
    seed: int,
    seconds: float,
    folder: Path,
    accelerator: "Accelerator",
) -> Pace:
    """Measure what a method's parts take and return how many steps fill the time: the same on every process.

    Each stage is started, takes an untimed step and then timed ones, and validates once; the share of the validations
    is part of the time that is given. What the probe makes is not used.

    Args:
        method: with any number of steps.
        with_steps: returns the method with so many steps.
        task, budget, teacher, seed: as in `ddcore.synthesis.outer_loop.distill`.
        seconds: to be filled.
        folder: for the probe's files; removed afterwards.
        accelerator: gives the device and the processes.

    Raises:
        UsageError: the method cannot start: the line says what is missing.
        DDCoreError: the steps of the probe are not finite, or the folder cannot be written.
    """
    stages: list[Stage] = []
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(folder, accelerator.is_main_process)
    limit = min(LONGEST, SHARE * seconds)
    try:
        if isinstance(method, StagedMethod):
            sizes = method.stages(task, budget)
            earlier: DistilledSet | None = None
            for k, size in enumerate(sizes):
                own = method.of_stage(size, sizes[-1])
                begun = time.monotonic()
                synthesis = own.start_stage(k, earlier, task, budget, teacher, seed, accelerator.device)
                stages.append(_measured(own, synthesis, run, seed, begun, limit / len(sizes), accelerator))
                earlier = synthesis.decode()
        else:
            begun = time.monotonic()
            synthesis = method.start(task, budget, teacher, seed, accelerator.device)
            stages.append(_measured(method, synthesis, run, seed, begun, limit, accelerator))
    finally:
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            shutil.rmtree(folder, ignore_errors=True)
    stages = agreed(stages, accelerator)

    def expected(steps: int) -> float:
        chosen = with_steps(steps)
        if isinstance(chosen, StagedMethod):
            each = [chosen.of_stage(size, sizes[-1]).steps for size in sizes]
        else:
            each = [steps]
        return sum(stage.seconds(taken) for stage, taken in zip(stages, each, strict=True))

    steps = steps_within(seconds, expected)
    return Pace(steps, round(seconds, 3), round(expected(steps), 3), tuple(stages))


def _measured(
    method: GradientMethod | StagedMethod,
    synthesis: Synthesis,
    run: Run,
    seed: int,
    begun: float,
    limit: float,
    accelerator: "Accelerator",
) -> Stage:
    loop = Loop(method, synthesis, run, seed, accelerator, None)
    if isinstance(synthesis, Unrolling):
        loop.choose_mode(synthesis)
    start = time.monotonic() - begun
    loop.advance()
    probed, spent = 0, 0.0
    while probed == 0 or agreed(spent < limit, accelerator):
        spent += seconds_of(loop.advance, accelerator.device)
        probed += 1
    check = seconds_of(loop.check, accelerator.device)
    return Stage(round(start, 4), round(check, 4), round(spent / probed, 6), 1 + method.checks, probed)
