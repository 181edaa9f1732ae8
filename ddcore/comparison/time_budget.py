"""How many outer steps fit into a given time: a short timed probe of a method, thrown away afterwards."""

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ddcore.options import changed
from ddcore.problem import Problem
from ddcore.runtime import JSONObject, Run, Session, agreed, seconds_of
from ddcore.sets import DistilledSet
from ddcore.synthesis import Loop, Method, Synthesis, begun

# A probe takes steps for this share of the time that is given, and never longer than so many seconds.
SHARE, LONGEST = 0.03, 20.0
MOST_STEPS = 10**9


@dataclass(frozen=True)
class StagePace:
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
    stages: tuple[StagePace, ...]

    def record(self) -> JSONObject:
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


def paced(method: Method, problem: Problem, session: Session, seconds: float, folder: Path) -> Pace:
    """Measure what a method's parts take and return how many steps fill the time: the same on every process.

    Each stage is started, takes an untimed step and then timed ones, and validates once; the share of the validations
    is part of the time. What the probe makes is not used.

    Args:
        method: with any number of steps.
        problem: what is asked for.
        session: gives the processes.
        seconds: to be filled.
        folder: for the probe's files; removed afterwards.

    Raises:
        UsageError: the method cannot start: the line says what is missing.
        DDCoreError: the steps of the probe are not finite, or the folder cannot be written.
    """
    stages: list[StagePace] = []
    folder.mkdir(parents=True, exist_ok=True)
    probe = replace(session, run=Run(folder, session.main), progress=None, say=None)
    sizes = method.stages(problem)
    limit = min(LONGEST, SHARE * seconds) / len(sizes)
    earlier: DistilledSet | None = None
    try:
        for number, size in enumerate(sizes):
            first = time.monotonic()
            synthesis = begun(method.of_stage(size, sizes[-1]), problem, probe, number, earlier)
            stages.append(_measured(synthesis, probe, first, limit))
            earlier = synthesis.decode()
    finally:
        session.wait()
        if session.main:
            shutil.rmtree(folder, ignore_errors=True)
    stages = agreed(stages, session.processes)

    def expected(steps: int) -> float:
        whole = changed(method, {"steps": steps})
        taken = [whole.of_stage(size, sizes[-1]).steps for size in sizes]
        return sum(stage.seconds(count) for stage, count in zip(stages, taken, strict=True))

    steps = steps_within(seconds, expected)
    return Pace(steps, round(seconds, 3), round(expected(steps), 3), tuple(stages))


def _measured(synthesis: Synthesis, session: Session, first: float, limit: float) -> StagePace:
    loop = Loop(synthesis, session)
    loop.choose_mode()
    start = time.monotonic() - first
    loop.advance()
    probed, spent = 0, 0.0
    while probed == 0 or agreed(spent < limit, session.processes):
        spent += seconds_of(loop.advance, session.device)
        probed += 1
    check = seconds_of(loop.check, session.device)
    validations = 1 + synthesis.method.validation.validations
    return StagePace(round(start, 4), round(check, 4), round(spent / probed, 6), validations, probed)
