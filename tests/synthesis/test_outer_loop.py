"""The outer loop, and what holds for every method that follows gradients."""

import math
import threading
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator
from toys import IMAGE_METHODS, prepared, short_options, toy_teacher

from ddcore.data.task import Scale, Task
from ddcore.errors import DDCoreError
from ddcore.methods.registry import METHODS
from ddcore.runtime import gather as exchange
from ddcore.runtime.checkpoints import Checkpoints
from ddcore.runtime.files import load_tensors
from ddcore.runtime.run_folder import Run
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.origin import Origin
from ddcore.synthesis import outer_loop as distillation
from ddcore.synthesis.contract import GradientMethod, Group, Part, StagedMethod
from ddcore.synthesis.outer_loop import distill
from ddcore.training.teacher import Teacher

CPU = torch.device("cpu")


class Bowl:
    """A method by hand: three shards pull one number towards 1, 2 and 6; its set scores best where it is asked to."""

    kinds, needs_teacher = ("images",), False
    steps, checks, check_networks = 60, 3, 1

    def __init__(self, best: float = 3.0, broken: range = range(0)):
        self.best, self.broken = best, broken

    def __repr__(self):
        return "Bowl()"

    def quick(self):
        return self

    def start(self, task, budget, teacher, seed, device):
        self.x, self.seen = torch.zeros(1), torch.zeros(1)
        return self

    @property
    def groups(self):
        return {"only": Group({"x": self.x}, 0.2)}

    def shards(self, step):
        return [(step, goal) for goal in (1.0, 2.0, 6.0)]

    def gradient(self, shard):
        step, goal = shard
        broken = step in self.broken
        loss = float("nan") if broken else float((self.x - goal).square())
        slope = torch.full_like(self.x, float("inf")) if broken and step % 2 else 2 * (self.x - goal)
        return Part({"x": slope}, {"loss": loss}, {"seen": torch.tensor([goal])})

    def absorb(self, shard, update):
        self.seen = 10 * self.seen % 1000 + update["seen"]

    def score(self, seed):
        return 1 - abs(float(self.x) - self.best) / 10

    def decode(self):
        x, y = self.x.view(1, 1, 1, 1).clone(), torch.zeros(1, dtype=torch.int64)
        return DistilledSet("images", x, y, Origin("toy", ("a",), "bowl"), Scale((0.5,), (0.5,)))

    def state_dict(self):
        return {"x": self.x, "seen": self.seen}

    def load_state_dict(self, state):
        self.x.copy_(state["x"])
        self.seen = state["seen"]


class Slope(Bowl):
    """A method whose first number is pulled a hundred times as hard as its second."""

    steps, checks = 1, 1

    def __init__(self, together: bool):
        super().__init__()
        self.together = together

    def start(self, task, budget, teacher, seed, device):
        self.x, self.seen = torch.zeros(2), torch.zeros(1)
        return self

    @property
    def groups(self):
        return {"only": Group({"x": self.x}, 1.0, self.together)}

    def gradient(self, shard):
        return Part({"x": torch.tensor([1.0, 0.01])}, {"loss": 0.0}, {"seen": torch.zeros(1)})

    def score(self, seed):
        return -float(self.x.sum())

    def decode(self):
        x, y = self.x.view(1, 1, 1, 2).clone(), torch.zeros(1, dtype=torch.int64)
        return DistilledSet("images", x, y, Origin("toy", ("a",), "slope"), Scale((0.5,), (0.5,)))


@pytest.fixture
def accelerator() -> Accelerator:
    return Accelerator(cpu=True)


@pytest.fixture
def teacher(toy: Task) -> Teacher:
    return toy_teacher(toy)


def run_in(folder) -> Run:
    return Run.start(folder, "distill", {})


def test_shards_are_averaged_and_absorbed_in_order(toy, tmp_path, accelerator):
    bowl = Bowl()
    made = distill(bowl, "bowl", toy, 1, None, run_in(tmp_path), 0, accelerator)
    assert made.method == "bowl"
    assert float(made.x) == pytest.approx(3.0, abs=0.4)
    assert float(bowl.seen) == 126  # the last three goals, in order


@pytest.mark.parametrize(("together", "ratio"), [(False, 1.0), (True, 100.0)])
def test_numbers_that_are_scaled_together_keep_the_ratio_of_their_gradients(
    together, ratio, toy, tmp_path, accelerator
):
    moved = distill(Slope(together), "slope", toy, 1, None, Run(tmp_path), 0, accelerator).x.flatten()
    torch.testing.assert_close(float(moved[0] / moved[1]), ratio, rtol=1e-4, atol=0)


def test_the_images_are_drawn_as_they_change(toy, tmp_path, accelerator):
    distill(Bowl(), "bowl", toy, 1, None, run_in(tmp_path), 0, accelerator)
    drawn = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert drawn == [f"1-{step:06d}.png" for step in (0, 20, 40, 60)]
    assert len({(tmp_path / "images" / name).read_bytes() for name in drawn}) > 1


def test_never_worse_than_the_start(toy, tmp_path, accelerator):
    made = distill(Bowl(best=-1.0), "bowl", toy, 1, None, run_in(tmp_path), 0, accelerator)
    assert float(made.x) == 0.0
    assert made.provenance["outer_step"] == 0
    assert made.provenance["validation_accuracy"] == made.provenance["validation_accuracy_at_start"]


def test_two_processes_give_the_bits_of_one(toy, tmp_path, accelerator, monkeypatch):
    lots: list = [None, None]
    meet = threading.Barrier(2, timeout=30)

    def both(mine):
        lots[int(threading.current_thread().name)] = mine
        meet.wait()
        everything = [*lots[0], *lots[1]]
        meet.wait()
        return everything

    def one_of_two(number):
        place = SimpleNamespace(process_index=number, num_processes=2, is_main_process=number == 0, device=CPU)
        run = Run(tmp_path / "two", main=number == 0)
        made[number] = distill(Bowl(), "bowl", toy, 1, None, run, 0, place)

    made: dict = {}
    run_in(tmp_path / "two")
    monkeypatch.setattr(exchange, "gather", lambda mine: torch.stack(both(mine)))
    threads = [threading.Thread(target=one_of_two, args=(number,), name=str(number)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = distill(Bowl(), "bowl", toy, 1, None, run_in(tmp_path / "one"), 0, accelerator)
    assert torch.equal(made[0].x, alone.x) and torch.equal(made[1].x, alone.x)
    assert (tmp_path / "two" / distillation.CHECKPOINT).exists()


def test_a_few_steps_that_are_not_finite_are_skipped(toy, tmp_path, accelerator):
    made = distill(Bowl(broken=range(7, 12)), "bowl", toy, 1, None, run_in(tmp_path), 0, accelerator)
    assert made.x.isfinite().all() and float(made.x) == pytest.approx(3.0, abs=0.4)


def test_many_steps_that_are_not_finite_stop_with_the_last_good_state(toy, tmp_path, accelerator):
    with pytest.raises(DDCoreError, match=r"10 outer steps were not finite.*step 17.*lower the step sizes"):
        distill(Bowl(broken=range(7, 40)), "bowl", toy, 1, None, run_in(tmp_path), 0, accelerator)
    state, _ = load_tensors(tmp_path / distillation.CHECKPOINT)
    assert state["synthesis.x"].isfinite().all() and state["best.x"].isfinite().all()


def test_a_damaged_or_foreign_checkpoint_is_refused(toy, tmp_path, accelerator):
    distill(Bowl(), "bowl", toy, 1, None, run_in(tmp_path), 0, accelerator)
    with pytest.raises(DDCoreError, match="another run"):
        distill(Bowl(), "bowl", toy, 1, None, run_in(tmp_path), 1, accelerator)
    path = tmp_path / distillation.CHECKPOINT
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DDCoreError, match="not a readable safetensors file"):
        distill(Bowl(), "bowl", toy, 1, None, run_in(tmp_path), 0, accelerator)


@pytest.fixture
def one_thread():
    """Two threads only get into each other's way at this size."""
    torch.set_num_threads(1)


@pytest.fixture
def short_method(tmp_path, accelerator):
    def short(name: str):
        prepared(tmp_path, accelerator)
        return METHODS[name](**short_options(name, tmp_path, {}))

    return short


def begun(method, toy, teacher, accelerator):
    """What a method begins with; of one in stages, the first."""
    if isinstance(method, StagedMethod):
        return method.start_stage(0, None, toy, 8, teacher, 5, accelerator.device)
    assert isinstance(method, GradientMethod)
    return method.start(toy, 8, teacher, 5, accelerator.device)


@pytest.mark.parametrize("name", IMAGE_METHODS)
def test_images_move_all_is_finite_and_the_seed_decides(
    name, short_method, toy, teacher, tmp_path, accelerator, one_thread, monkeypatch
):
    method = short_method(name)
    # The last state wins, so that it is seen.
    scores = iter(range(1000))
    started = type(begun(method, toy, teacher, accelerator))
    monkeypatch.setattr(started, "score", lambda self, seed: next(scores) / 100)
    sets = [distill(method, name, toy, 8, teacher, run_in(tmp_path / str(k)), 5, accelerator) for k in range(2)]
    began = begun(method, toy, teacher, accelerator).decode()
    assert torch.equal(sets[0].x, sets[1].x) and torch.equal(sets[0].targets(), sets[1].targets())
    assert sets[0].x.isfinite().all() and sets[0].targets().isfinite().all()
    assert ((sets[0].x[: len(began)] - began.x).flatten(1).norm(dim=1) > 1e-4).all()
    assert sets[0].y.bincount().tolist() == [4, 4]


@pytest.mark.parametrize("name", IMAGE_METHODS)
def test_resumed_equals_straight(name, short_method, toy, teacher, tmp_path, accelerator, one_thread, monkeypatch):
    monkeypatch.setattr(Checkpoints, "due", lambda self, step: True)
    states = {}

    def remember(loop):
        states[len(states)] = {k: v.clone() for k, v in loop.state_dict().items()}
        return keep(loop)

    keep = distillation.Loop._keep
    monkeypatch.setattr(distillation.Loop, "_keep", remember)

    def stop(step, total, values):
        assert math.isfinite(values["loss"]) and values["seconds_left"] >= 0
        if step == 3:
            raise KeyboardInterrupt

    method = short_method(name)
    distill(method, name, toy, 8, teacher, run_in(tmp_path / "straight"), 5, accelerator)
    straight = states[max(states)]
    with pytest.raises(KeyboardInterrupt):
        distill(method, name, toy, 8, teacher, run_in(tmp_path / "cut"), 5, accelerator, stop)
    distill(method, name, toy, 8, teacher, run_in(tmp_path / "cut"), 5, accelerator)
    resumed = states[max(states)]
    assert straight.keys() == resumed.keys()
    assert all(torch.equal(straight[k], resumed[k]) for k in straight)
