"""The outer loop, and what holds for every method that follows gradients."""

import math
import threading
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from toys import IMAGE_METHODS, prepared, session_in, short_method, striped, toy_teacher
from toys import problem as toy_problem

from ddcore.data.images import image_task
from ddcore.data.task import Scale, Task
from ddcore.errors import DDCoreError
from ddcore.methods.dm import DM
from ddcore.options import changed, group
from ddcore.problem import Problem
from ddcore.runtime.checkpoints import Checkpoints
from ddcore.runtime.files import load_tensors
from ddcore.runtime.run_folder import Run
from ddcore.runtime.session import Session
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.origin import Origin
from ddcore.synthesis import outer_loop
from ddcore.synthesis.contract import Group, Method, Part, Shard, Synthesis
from ddcore.synthesis.multi_formation import begun
from ddcore.synthesis.outer_loop import distilled_set
from ddcore.synthesis.validation import Validation
from ddcore.training.teacher import Teacher

CPU = torch.device("cpu")
GOALS = (1.0, 2.0, 6.0)


@dataclass(frozen=True)
class Bowl(Method):
    """A method by hand: three shards pull one number towards 1, 2 and 6; its set scores best where it is asked to."""

    name: ClassVar[str] = "bowl"

    steps: int = 60
    validation: Validation = group(Validation(3, 1))
    best: float = field(default=3.0, repr=False)
    broken: range = field(default=range(0), repr=False)
    runs: list[Any] = field(default_factory=list, repr=False)

    def start(self, problem, session):
        self.runs.append(BowlRun(self, problem, session))
        return self.runs[-1]


class BowlRun(Synthesis):
    def __init__(self, method, problem, session):
        super().__init__(method, problem, session)
        self.x, self.seen = torch.zeros(1), torch.zeros(1)

    @property
    def groups(self):
        return {"only": Group({"x": self.x}, 0.2)}

    def shards(self, step):
        return [Shard(step, part) for part in range(len(GOALS))]

    def gradient(self, shard):
        step, goal = shard.step, GOALS[shard.part]
        broken = step in self.method.broken
        loss = float("nan") if broken else float((self.x - goal).square())
        slope = torch.full_like(self.x, float("inf")) if broken and step % 2 else 2 * (self.x - goal)
        return Part({"x": slope}, {"loss": loss}, {"seen": torch.tensor([goal])})

    def absorb(self, shard, update):
        self.seen = 10 * self.seen % 1000 + update["seen"]

    def score(self, seed):
        return 1 - abs(float(self.x) - self.method.best) / 10

    def decode(self, notes=None):
        x, y = self.x.view(1, 1, 1, -1).clone(), torch.zeros(1, dtype=torch.int64)
        name, notes = self.method.name, dict(notes or {})
        return DistilledSet("images", x, y, Origin("toy", ("a",), name, provenance=notes), Scale((0.5,), (0.5,)))

    def memory(self):
        return {"seen": self.seen}

    def remember(self, state):
        self.seen = state["seen"]


@dataclass(frozen=True)
class Slope(Method):
    """A method whose first number is pulled a hundred times as hard as its second."""

    name: ClassVar[str] = "slope"

    steps: int = 1
    validation: Validation = group(Validation(1, 1))
    together: bool = False
    more: dict[str, Any] = field(default_factory=dict, repr=False)

    def start(self, problem, session):
        return SlopeRun(self, problem, session)


class SlopeRun(BowlRun):
    def __init__(self, method, problem, session):
        super().__init__(method, problem, session)
        self.x = torch.zeros(2)

    @property
    def groups(self):
        return {"only": Group({"x": self.x}, 1.0, self.method.together, **self.method.more)}

    def gradient(self, shard):
        return Part({"x": torch.tensor([1.0, 0.01])}, {"loss": 0.0}, {"seen": torch.zeros(1)})

    def score(self, seed):
        return -float(self.x.sum())


def one_member(toy, seed=0) -> Problem:
    """A set of a single member, which the classes need not share."""
    return Problem(toy, 1, toy.fit, seed=seed, proportions="data")


@pytest.fixture
def teacher(toy: Task, tmp_path) -> Teacher:
    return toy_teacher(toy, tmp_path / "teacher")


def test_shards_are_averaged_and_absorbed_in_order(toy, tmp_path):
    bowl = Bowl()
    made = distilled_set(bowl, one_member(toy), session_in(tmp_path))
    assert made.method == "bowl"
    assert float(made.x) == pytest.approx(3.0, abs=0.4)
    assert float(bowl.runs[0].seen) == 126  # the last three goals, in order


@pytest.mark.parametrize(("together", "ratio"), [(False, 1.0), (True, 100.0)])
def test_numbers_that_are_scaled_together_keep_the_ratio_of_their_gradients(together, ratio, toy, tmp_path):
    moved = distilled_set(Slope(together=together), one_member(toy), Session(Run(tmp_path))).x.flatten()
    torch.testing.assert_close(float(moved[0] / moved[1]), ratio, rtol=1e-4, atol=0)


def test_the_images_are_drawn_as_they_change(toy, tmp_path):
    distilled_set(Bowl(), one_member(toy), session_in(tmp_path))
    drawn = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert drawn == [f"1-{step:06d}.png" for step in (0, 20, 40, 60)]
    assert len({(tmp_path / "images" / name).read_bytes() for name in drawn}) > 1


def test_never_worse_than_the_start(toy, tmp_path):
    made = distilled_set(Bowl(best=-1.0), one_member(toy), session_in(tmp_path))
    assert float(made.x) == 0.0
    assert made.provenance["outer_step"] == 0
    assert made.provenance["validation_accuracy"] == made.provenance["validation_accuracy_at_start"]


def test_two_processes_give_the_bits_of_one(toy, tmp_path, monkeypatch):
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
        place.wait_for_everyone = meet.wait
        run = Run(tmp_path / "two", main=number == 0)
        made[number] = distilled_set(Bowl(), one_member(toy), Session(run, place))

    made: dict = {}
    session_in(tmp_path / "two")
    monkeypatch.setattr("accelerate.utils.gather", lambda mine: torch.stack(both(mine)))
    threads = [threading.Thread(target=one_of_two, args=(number,), name=str(number)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = distilled_set(Bowl(), one_member(toy), session_in(tmp_path / "one"))
    assert torch.equal(made[0].x, alone.x) and torch.equal(made[1].x, alone.x)
    assert (tmp_path / "two" / outer_loop.CHECKPOINT).exists()


def test_a_few_steps_that_are_not_finite_are_skipped(toy, tmp_path):
    made = distilled_set(Bowl(broken=range(7, 12)), one_member(toy), session_in(tmp_path))
    assert made.x.isfinite().all() and float(made.x) == pytest.approx(3.0, abs=0.4)


def test_many_steps_that_are_not_finite_stop_with_the_last_good_state(toy, tmp_path):
    with pytest.raises(DDCoreError, match=r"10 outer steps were not finite.*step 17.*lower the step sizes"):
        distilled_set(Bowl(broken=range(7, 40)), one_member(toy), session_in(tmp_path))
    state, _ = load_tensors(tmp_path / outer_loop.CHECKPOINT)
    assert state["synthesis.x"].isfinite().all() and state["best.x"].isfinite().all()


def test_a_damaged_or_foreign_checkpoint_is_refused(toy, tmp_path):
    distilled_set(Bowl(), one_member(toy), session_in(tmp_path))
    with pytest.raises(DDCoreError, match="another run"):
        distilled_set(Bowl(), one_member(toy, seed=1), session_in(tmp_path))
    path = tmp_path / outer_loop.CHECKPOINT
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DDCoreError, match="not a readable safetensors file"):
        distilled_set(Bowl(), one_member(toy), session_in(tmp_path))


@pytest.fixture
def one_thread():
    """Two threads only get into each other's way at this size."""
    torch.set_num_threads(1)


@pytest.fixture
def short(tmp_path):
    def method(name: str) -> Method:
        prepared(tmp_path)
        return short_method(name, tmp_path, {})

    return method


@pytest.fixture
def problem(toy, teacher) -> Problem:
    return toy_problem(toy, 8, teacher, 5)


@pytest.mark.parametrize("name", IMAGE_METHODS)
def test_images_move_all_is_finite_and_the_seed_decides(name, short, problem, tmp_path, one_thread, monkeypatch):
    method = short(name)
    # The last state wins, so that it is seen.
    scores = iter(range(1000))
    monkeypatch.setattr(type(method.start(problem, Session())), "score", lambda self, seed: next(scores) / 100)
    sets = [distilled_set(method, problem, session_in(tmp_path / str(k))) for k in range(2)]
    began = (method.start(problem, Session()) if method.factor == 1 else begun(method, problem, Session())).decode()
    assert torch.equal(sets[0].x, sets[1].x) and torch.equal(sets[0].targets(), sets[1].targets())
    assert sets[0].x.isfinite().all() and sets[0].targets().isfinite().all()
    assert ((sets[0].x[: len(began)] - began.x).flatten(1).norm(dim=1) > 1e-4).all()
    assert sets[0].y.bincount().tolist() == [4 * method.factor**2] * 2


@pytest.mark.parametrize("name", IMAGE_METHODS)
def test_resumed_equals_straight(name, short, problem, tmp_path, one_thread, monkeypatch):
    monkeypatch.setattr(Checkpoints, "due", lambda self, step: True)
    states = {}

    def remember(loop):
        states[len(states)] = {k: v.clone() for k, v in loop.state_dict().items()}
        return keep(loop)

    keep = outer_loop.Loop._keep
    monkeypatch.setattr(outer_loop.Loop, "_keep", remember)

    def stop(step, total, values):
        assert math.isfinite(values["loss"]) and values["seconds_left"] >= 0
        if step == 3:
            raise KeyboardInterrupt

    method = short(name)
    distilled_set(method, problem, session_in(tmp_path / "straight"))
    straight = states[max(states)]
    with pytest.raises(KeyboardInterrupt):
        distilled_set(method, problem, session_in(tmp_path / "cut", stop))
    distilled_set(method, problem, session_in(tmp_path / "cut"))
    resumed = states[max(states)]
    assert straight.keys() == resumed.keys()
    assert all(torch.equal(straight[k], resumed[k]) for k in straight)


def test_a_checkpoint_of_other_members_or_another_teacher_is_refused(toy, teacher, tmp_path):
    asked = one_member(toy)
    changed = replace(toy, train=replace(toy.train, y=1 - toy.train.y))
    distilled_set(Bowl(), replace(asked, teacher=teacher), session_in(tmp_path))
    other = replace(teacher, logits=-teacher.logits)
    for problem in (replace(asked, teacher=other), replace(one_member(changed), teacher=teacher)):
        with pytest.raises(DDCoreError, match=r"checkpoint\.safetensors was made from other members or"):
            distilled_set(Bowl(), problem, session_in(tmp_path))
    distilled_set(Bowl(), replace(asked, teacher=teacher), session_in(tmp_path))


def test_a_step_moves_by_the_mean_of_its_shards(toy, tmp_path, monkeypatch):
    moved = []
    monkeypatch.setattr(outer_loop.Loop, "_move", lambda loop, gradients: moved.append(gradients["x"].clone()))
    losses = []
    session = session_in(tmp_path, lambda step, total, values: losses.append(values["loss"]))
    distilled_set(Bowl(steps=1), one_member(toy), session)
    torch.testing.assert_close(moved, [torch.tensor([-2 * sum(GOALS) / 3])])
    assert losses == pytest.approx([sum(goal**2 for goal in GOALS) / 3])


def test_outer_steps_by_hand(toy, tmp_path):
    # With the same gradient in every step both of Adam's means, corrected, are that gradient and its square: a step
    # is the learning rate, a tenth of it in the first step and two tenths in the second, times a cosine.
    moved = distilled_set(Slope(steps=3), one_member(toy), session_in(tmp_path)).x.flatten()
    shares = [(step + 1) / 10 * 0.5 * (1 + math.cos(math.pi * step / 3)) for step in range(3)]
    torch.testing.assert_close(moved, torch.full((2,), -sum(shares)), rtol=1e-5, atol=0)
    # Whatever the weights of the newest gradient.
    quick = Slope(steps=3, more={"newest": (0.5, 0.1)})
    again = distilled_set(quick, one_member(toy), session_in(tmp_path / "quick")).x.flatten()
    torch.testing.assert_close(again, moved, rtol=1e-5, atol=0)


def test_the_newest_gradient_has_the_weights_of_its_group(toy, tmp_path):
    slopes = iter([[1.0, 0.0], [0.0, 1.0]])

    class Turning(Slope):
        def start(self, problem, session):
            run = SlopeRun(self, problem, session)
            run.gradient = lambda shard: Part({"x": torch.tensor(next(slopes))}, {"loss": 0.0}, {"seen": torch.ones(1)})
            run.shards = lambda step: [Shard(step)]
            return run

    method = Turning(steps=2, more={"newest": (0.5, 0.1)})
    moved = distilled_set(method, one_member(toy), session_in(tmp_path)).x.flatten()
    first, second = 0.1 * 1.0, 0.2 * 0.5
    means = torch.tensor([0.25, 0.5]) / 0.75
    sizes = (torch.tensor([0.09, 0.1]) / 0.19).sqrt()
    torch.testing.assert_close(moved, -torch.tensor([first, 0.0]) - second * means / sizes, rtol=1e-5, atol=1e-8)


def test_variables_stay_within_their_bounds(toy, tmp_path):
    bounds = (torch.tensor([-0.05, -1.0]), torch.tensor([0.0, 1.0]))
    method = Slope(steps=3, more={"bounds": bounds})
    moved = distilled_set(method, one_member(toy), session_in(tmp_path)).x.flatten()
    assert float(moved[0]) == pytest.approx(-0.05) and -1 < float(moved[1]) < -0.1


def test_adams_means_forget_at_their_own_speeds(toy, tmp_path):
    loop = outer_loop.Loop(Slope(steps=1000).start(one_member(toy), Session()), session_in(tmp_path))
    first, second = torch.zeros(2), torch.zeros(2)
    for step, slope in enumerate((torch.tensor([1.0, 2.0]), torch.tensor([-3.0, 0.5]))):
        before, loop.step = loop.variables["x"].clone(), step
        loop._move({"x": slope})
        first, second = 0.9 * first + 0.1 * slope, 0.99 * second + 0.01 * slope**2
        size = (second / (1 - 0.99 ** (step + 1))).sqrt()
        share = (step + 1) / 10 * 0.5 * (1 + math.cos(math.pi * step / 1000))
        wanted = before - share * first / (1 - 0.9 ** (step + 1)) / size
        torch.testing.assert_close(loop.variables["x"], wanted, rtol=1e-5, atol=1e-7)


def test_large_images_are_validated_for_a_share_of_their_making_or_not_at_all(tmp_path):
    task = image_task("wide", ("low", "high"), striped(40, 64), lambda: striped(10, 64), "made by the tests")
    few = {"steps": 2, "real_batch": 2, "image_rate": 0.5}
    said = []
    session = replace(session_in(tmp_path / "short"), say=said.append)
    made = distilled_set(changed(DM(), few), toy_problem(task, 4), session)
    assert any("no validation, because" in line for line in said)
    assert made.provenance["outer_step"] == 2 and "validation_accuracy" not in made.provenance
    assert not torch.equal(made.x, task.inputs(task.train.x[torch.tensor(made.provenance["began at"])]))
    # A making of 0.2 million answers pays for 5 validations that train one network for some steps.
    long = changed(DM(), {**few, "steps": 1000, "real_batch": 100})
    small = outer_loop.Loop(long.start(toy_problem(task, 4), Session()), session_in(tmp_path / "long")).validation
    assert small.networks * 5 * 3 * 4 * small.steps <= 0.2 * 200_000 and small.networks > 0
    asked = changed(DM(), {**few, "validations": 1, "validation_steps": 2})
    made = distilled_set(asked, toy_problem(task, 4), session_in(tmp_path / "asked"))
    assert 0 <= made.provenance["validation_accuracy"] <= 1


def test_small_images_are_validated_as_ever(toy, tmp_path):
    loop = outer_loop.Loop(DM(steps=1).start(toy_problem(toy, 4), Session()), session_in(tmp_path))
    assert loop.validation == DM().validation and loop.validation.steps == 400


def test_sgd_moves_by_its_momentum_at_a_constant_rate(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(BowlRun, "groups", property(lambda self: {"only": Group({"x": self.x}, 0.1, momentum=0.5)}))
    method = Bowl(steps=3, validation=Validation(1, 0))
    distilled_set(method, one_member(toy), session_in(tmp_path))
    [run] = method.runs
    x, speed = 0.0, 0.0
    for _ in range(3):
        speed = 0.5 * speed + 2 * (x - sum(GOALS) / 3)
        x -= 0.1 * speed
    assert run.x.item() == pytest.approx(x, rel=1e-6)
