"""A time becomes a number of steps; a method by hand whose clock is known makes it a sum."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch

from ddcore.comparison import time_budget
from ddcore.comparison.time_budget import StagePace, paced, steps_within
from ddcore.errors import DDCoreError, UsageError
from ddcore.options import group, option
from ddcore.problem import Problem
from ddcore.runtime.session import Session
from ddcore.synthesis.contract import Group, Method, Part, Synthesis
from ddcore.synthesis.validation import Validation


class Clock:
    """Stands in place of the time module: it moves when it is told to."""

    now = 0.0

    def monotonic(self):
        return self.now

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(time_budget, "time", made)
    monkeypatch.setattr("ddcore.runtime.machine.time", made)
    return made


@dataclass(frozen=True)
class Slow(Method):
    """A method whose start takes 5 s, a step 2 s (the first one 30 s) and a validation 4 s."""

    name: ClassVar[str] = "slow"

    steps: int = option(1000, "outer steps")
    validation: Validation = group(Validation(3, 1))
    clock: Any = field(default=None, repr=False)
    loss: float = field(default=1.0, repr=False)

    def start(self, problem, session):
        self.clock.now += 5
        return SlowRun(self, problem, session)


class SlowRun(Synthesis):
    def __init__(self, method, problem, session):
        super().__init__(method, problem, session)
        self.x, self.taken = torch.zeros(1), 0

    @property
    def groups(self):
        return {"only": Group({"x": self.x}, 0.1)}

    def gradient(self, shard):
        self.method.clock.now += 30 if self.taken == 0 else 2
        self.taken += 1
        return Part({"x": torch.ones(1)}, {"loss": self.method.loss})

    def score(self, seed):
        self.method.clock.now += 4
        return 0.5

    def decode(self, notes=None):
        class Nothing(SimpleNamespace):
            def __len__(self):
                return 1

        return Nothing(kind="tokens")


@dataclass(frozen=True)
class Staged(Slow):
    """The same in two stages, the first with twice the steps."""

    def stages(self, problem):
        return [1, 2]

    def of_stage(self, size, last):
        return replace(self, steps=self.steps * last // size)

    def start_stage(self, stage, earlier, problem, session):
        assert (earlier is None) == (stage == 0)
        return self.start(problem, session)


class Refusing(Slow):
    def start(self, problem, session):
        raise UsageError("slow needs --experts DIR")


@pytest.fixture
def measure(toy, tmp_path):
    def measured(method, seconds):
        return paced(method, Problem(toy, 2, toy.fit), Session(), seconds, tmp_path / "probe")

    return measured


@pytest.mark.parametrize("seconds", [0.5, 9, 10, 11.9, 12, 1e6])
def test_the_steps_are_the_most_that_fit(seconds):
    steps = steps_within(seconds, lambda n: 4 + 2 * n)
    assert steps == max(1, int((seconds - 4) // 2))


def test_start_and_validations_are_part_of_the_time(clock, measure, tmp_path):
    found = measure(Slow(clock=clock), 121)
    assert found.stages == (StagePace(5, 4, 2, 4, 2),), "the first step is not timed, 3 % of the time is for the others"
    assert (found.steps, found.given, found.expected) == (50, 121, 5 + 4 * 4 + 50 * 2)
    assert not (tmp_path / "probe").exists() and found.record()["stages"][0]["check"] == 4


def test_stages_share_the_time(clock, measure):
    found = measure(Staged(clock=clock), 102)
    assert len(found.stages) == 2 and found.steps == 10
    assert found.expected == 2 * (5 + 4 * 4) + (20 + 10) * 2


def test_a_time_that_is_too_short_for_one_step_still_gives_one_and_says_what_it_takes(clock, measure):
    found = measure(Slow(clock=clock), 10)
    assert found.steps == 1 and found.expected == 23 > found.given


def test_a_method_that_cannot_start_says_so_and_leaves_nothing(clock, measure, tmp_path):
    with pytest.raises(UsageError, match="needs --experts"):
        measure(Refusing(clock=clock), 100)
    assert not (tmp_path / "probe").exists()


def test_a_probe_that_diverges_is_an_error(clock, measure):
    with pytest.raises(DDCoreError, match="not finite"):
        measure(Slow(clock=clock, loss=float("nan")), 1e4)
