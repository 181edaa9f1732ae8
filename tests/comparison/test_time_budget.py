"""A time becomes a number of steps; a method by hand whose clock is known makes it a sum."""

import pytest
import torch
from accelerate import Accelerator

from ddcore.comparison import time_budget as pace
from ddcore.comparison.time_budget import Stage, paced, steps_within
from ddcore.errors import DDCoreError, UsageError
from ddcore.synthesis.contract import Group, Part


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
    monkeypatch.setattr(pace, "time", made)
    monkeypatch.setattr("ddcore.runtime.machine.time", made)
    return made


class Slow:
    """A method whose start takes 5 s, a step 2 s (the first one 30 s) and a validation 4 s."""

    kinds, needs_teacher = ("images",), False
    checks, check_networks = 3, 1

    def __init__(self, clock, steps=1000, loss=1.0):
        self.clock, self.steps, self.loss, self.taken = clock, steps, loss, 0

    def __repr__(self):
        return "Slow()"

    def quick(self):
        return self

    def start(self, task, budget, teacher, seed, device):
        self.clock.now += 5
        self.x = torch.zeros(1)
        return self

    @property
    def groups(self):
        return {"only": Group({"x": self.x}, 0.1)}

    def shards(self, step):
        return [step]

    def gradient(self, shard):
        self.clock.now += 30 if self.taken == 0 else 2
        self.taken += 1
        return Part({"x": torch.ones(1)}, {"loss": self.loss})

    def absorb(self, shard, update):
        pass

    def score(self, seed):
        self.clock.now += 4
        return 0.5

    def decode(self):
        class Nothing:
            kind = "tokens"

            def __len__(self):
                return 1

        return Nothing()

    def state_dict(self):
        return {}


class Staged(Slow):
    """The same in two stages, the first with twice the steps."""

    start = None

    def stages(self, task, budget):
        return [1, 2]

    def of_stage(self, size, last):
        return Staged(self.clock, self.steps * last // size)

    def start_stage(self, stage, earlier, *rest):
        assert (earlier is None) == (stage == 0)
        return Slow.start(self, *rest)


def measure(method, other, seconds, folder):
    return paced(method, other, None, 2, None, 0, seconds, folder / "probe", Accelerator())


@pytest.mark.parametrize("seconds", [0.5, 9, 10, 11.9, 12, 1e6])
def test_the_steps_are_the_most_that_fit(seconds):
    steps = steps_within(seconds, lambda n: 4 + 2 * n)
    assert steps == max(1, int((seconds - 4) // 2))


def test_start_and_validations_are_part_of_the_time(clock, tmp_path):
    found = measure(Slow(clock), lambda steps: Slow(clock, steps), 121, tmp_path)
    assert found.stages == (Stage(5, 4, 2, 4, 2),), "the first step is not timed, 3 % of the time is for the others"
    assert (found.steps, found.given, found.expected) == (50, 121, 5 + 4 * 4 + 50 * 2)
    assert not (tmp_path / "probe").exists() and found.record()["stages"][0]["check"] == 4


def test_stages_share_the_time(clock, tmp_path):
    found = measure(Staged(clock), lambda steps: Staged(clock, steps), 102, tmp_path)
    assert len(found.stages) == 2 and found.steps == 10
    assert found.expected == 2 * (5 + 4 * 4) + (20 + 10) * 2


def test_a_time_that_is_too_short_for_one_step_still_gives_one_and_says_what_it_takes(clock, tmp_path):
    found = measure(Slow(clock), lambda steps: Slow(clock, steps), 10, tmp_path)
    assert found.steps == 1 and found.expected == 23 > found.given


def test_a_method_that_cannot_start_says_so_and_leaves_nothing(clock, tmp_path):
    method = Slow(clock)

    def refuse(*rest):
        raise UsageError("slow needs --experts DIR")

    method.start = refuse
    with pytest.raises(UsageError, match="needs --experts"):
        measure(method, lambda steps: method, 100, tmp_path)
    assert not (tmp_path / "probe").exists()


def test_a_probe_that_diverges_is_an_error(clock, tmp_path):
    clocked = Slow(clock, loss=float("nan"))
    with pytest.raises(DDCoreError, match="not finite"):
        measure(clocked, lambda steps: clocked, 1e4, tmp_path)
