import pytest
import torch
from toys import problem, session_in, started

from ddcore.errors import UsageError
from ddcore.methods.dd import DD
from ddcore.nets.registry import build_net
from ddcore.options import changed
from ddcore.runtime.files import save_tensors
from ddcore.synthesis.contract import Shard
from ddcore.synthesis.outer_loop import distilled_set

SHORT = {"net": "mlp", "real_batch": 32, "validations": 1, "validation_networks": 1}


def short(**more) -> DD:
    return changed(DD(), {**SHORT, **more})


@pytest.fixture
def trained(toy, tmp_path):
    folder = tmp_path / "nets"
    for seed in range(4):
        save_tensors(folder / f"weights-{seed}.safetensors", dict(build_net("mlp", toy, seed).state_dict()))
    return str(folder)


def test_two_known_images_teach_the_toy(toy, tmp_path):
    method = short(start_weights="known", batches=1, epochs=3, steps=60)
    made = distilled_set(method, problem(toy, 2), session_in(tmp_path))
    assert made.provenance["validation_accuracy"] > 0.9
    schedule = made.schedule
    assert schedule.start == "known" and schedule.rates.shape == (3,) and schedule.order.tolist() == [[0, 1]] * 3
    run = started(method, toy, 2)
    assert torch.equal(schedule.weights, run._theta("inner", 5, 0))
    theta = schedule.follow(run.students.step, made.x, made.targets(), schedule.weights)
    assert run.students.accuracy(theta) == pytest.approx(made.provenance["validation_accuracy"])


def test_random_weights_differ_from_step_to_step_and_known_ones_do_not(toy):
    known, fresh = (started(short(start_weights=name), toy, 4) for name in ("known", "random"))
    assert torch.equal(known._theta("inner", 0, 0), known._theta("check", 3))
    assert not torch.equal(fresh._theta("inner", 0, 0), fresh._theta("inner", 1, 0))
    assert fresh.decode().schedule.weights is None


def test_adapting_begins_with_given_networks_and_holds_one_back(toy, trained):
    run = started(short(objective="adapt", weights=trained), toy, 4)
    given = [build_net("mlp", toy, seed) for seed in range(4)]
    starts = [torch.cat([p.detach().flatten() for p in net.parameters()]) for net in given]
    tried = {next(k for k in range(4) if torch.equal(run._theta("inner", s, 0), starts[k])) for s in range(30)}
    assert tried == {0, 1, 2} and torch.equal(run._theta("check", 0), starts[3])
    assert run.decode().schedule.start == "given"


def test_poison_asks_for_the_other_class_and_keeps_the_rest(toy, trained):
    method = short(objective="poison", weights=trained, from_class=1, to_class=0, share=0.25)
    run = started(method, toy, 4)
    outer = run._outer(Shard(0, 0))
    assert outer.y.argmax(1).tolist() == [0] * 32
    members = {tuple(row) for row in toy.inputs(toy.train.x[toy.train.y == 1]).flatten(1).tolist()}
    assert sum(tuple(row) in members for row in outer.x.flatten(1).tolist()) == 8
    assert run.decode().schedule.poison == (1, 0)
    assert set(run.decode().y.tolist()) == {0}
    run.students.validated = lambda theta: torch.zeros(len(toy.validation), dtype=torch.int64)
    assert run.score(0) == 1.0
    run.students.validated = lambda theta: run.students.held_y
    assert run.score(0) == 0.5


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"objective": "adapt"}, "--objective adapt needs --weights"),
        ({"objective": "poison", "to_class": 2}, "below toy's 2 classes"),
        ({"objective": "adapt", "weights": "nowhere"}, "nowhere holds no networks"),
        ({"batches": 3}, "cannot be cut into 3"),
        ({"net": "resnet18"}, "batch statistics"),
    ],
)
def test_contradictions_are_refused(toy, changes, line):
    with pytest.raises(UsageError, match=line):
        started(short(**changes), toy, 4)
