import json
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from ddcore.draws import batches, generator
from ddcore.errors import DDCoreError, UsageError
from ddcore.nets.registry import build_net
from ddcore.runtime.checkpoints import Checkpoints
from ddcore.runtime.files import load_tensors, save_tensors, write_json
from ddcore.runtime.run_folder import Run
from ddcore.runtime.session import Session
from ddcore.training import experts
from ddcore.training.experts import ExpertOptions, Trainer, file_name, open_experts, train_experts
from ddcore.training.recipes import Changes
from ddcore.training.step import augmented
from ddcore.unroll.flat_params import Flat

HOW = ExpertOptions(net="mlp", points=3, stride=4, rate=0.05, momentum=0.5, batch_size=32)
CPU = torch.device("cpu")


def trained(folder, task, count=2, how=HOW, seed=0, **more):
    return train_experts(how, count, task, seed, Session(Run(folder), **more))


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_an_expert_takes_plain_steps_of_sgd_and_its_points_are_kept(toy, tmp_path, momentum):
    trained(tmp_path, toy, how=ExpertOptions(net="mlp", points=3, stride=4, rate=0.05, momentum=momentum))
    theta = load_tensors(tmp_path / file_name(1))[0]["theta"]
    net = build_net("mlp", toy, 0, "expert", 1)
    flat = Flat(build_net("mlp", toy, 0))
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05, momentum=momentum)
    assert theta.shape == (4, flat.size) and theta.dtype == torch.float32
    fit = toy.train[toy.fit]
    torch.testing.assert_close(theta[0], Flat(net).start())
    for t, rows in enumerate(batches(len(fit), 256, range(12), 0, "expert order", 1)):
        changes = generator(0, "expert change", 1, t)
        x = augmented(fit.x[rows], toy, Changes(shift=1), changes)
        optimiser.zero_grad()
        F.cross_entropy(net(x), fit.y[rows]).backward()
        optimiser.step()
        if (t + 1) % 4 == 0:
            torch.testing.assert_close(theta[(t + 1) // 4], Flat(net).start(), rtol=1e-4, atol=1e-6)


def test_experts_differ_and_the_record_tells_what_they_share(toy, tmp_path):
    accuracy = trained(tmp_path, toy)
    record = json.loads((tmp_path / "experts.json").read_text())
    assert record["accuracy"] == accuracy and all(0 <= each <= 1 for each in accuracy)
    assert (record["dataset"], record["net"], record["experts"], record["points"]) == ("toy", "mlp", 2, 3)
    assert record["members"] == len(toy.fit) and record["shift"] == 1 and not record["flip"]
    found = open_experts(tmp_path, "mlp", toy)
    assert not torch.equal(found.point(0, 0), found.point(1, 0))
    assert torch.equal(found.point(1, 3), load_tensors(tmp_path / file_name(1))[0]["theta"][3])
    assert not list(tmp_path.glob("*.checkpoint"))


def test_by_default_a_point_is_a_fifth_of_an_epoch_and_changes_can_be_left_out(toy, tmp_path):
    trainer = Trainer(ExpertOptions(net="mlp", batch_size=10, augment=False), 1, toy, 0, Session(Run(tmp_path)))
    assert trainer.record.stride == len(toy.fit) // 10 // 5 and trainer.record.descent.shift == 0
    x = toy.inputs(toy.train.x[:3])
    assert torch.equal(trainer.record.changed(x, toy, generator("any")), x)


def test_experts_learn(toy, tmp_path):
    assert min(trained(tmp_path, toy, how=ExpertOptions(net="mlp", points=4, stride=20, rate=0.1))) > 0.9


@pytest.mark.parametrize("stop_at", [2, 6, 8])
def test_interrupted_anywhere_they_end_with_the_same_bytes(toy, tmp_path, monkeypatch, stop_at):
    monkeypatch.setattr(Checkpoints, "due", lambda self, step: True)
    monkeypatch.setattr(experts, "CHUNK", 2)
    trained(tmp_path / "straight", toy)
    seen = []

    def stop(step, total, values):
        assert total == 24
        seen.append(step)
        if step == 12 + stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut", toy, progress=stop)
    assert not (tmp_path / "cut" / "experts.json").exists()
    first = (tmp_path / "cut" / file_name(0)).stat().st_mtime_ns
    seen.clear()
    trained(tmp_path / "cut", toy, progress=lambda step, total, values: seen.append(step))
    # The step that was interrupted had not reached its checkpoint.
    assert seen[0] == 12 + stop_at and seen[-1] == 24
    assert (tmp_path / "cut" / file_name(0)).stat().st_mtime_ns == first
    for name in (file_name(0), file_name(1), "experts.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()


def test_processes_share_the_experts(toy, tmp_path, monkeypatch):
    class Place:
        num_processes, device = 2, CPU

        def __init__(self, number):
            self.process_index, self.is_main_process = number, number == 0

        def wait_for_everyone(self):
            if self.is_main_process:
                trained_by[1] = train_experts(HOW, 3, toy, 0, Session(Run(tmp_path / "two"), Place(1)))

    trained_by = {}
    trained_by[0] = train_experts(HOW, 3, toy, 0, Session(Run(tmp_path / "two"), Place(0)))
    assert trained_by[1] == [] and trained_by[0] == trained(tmp_path / "one", toy, 3)
    for expert in range(3):
        assert (tmp_path / "two" / file_name(expert)).read_bytes() == (
            tmp_path / "one" / file_name(expert)
        ).read_bytes()


def test_files_of_other_experts_are_not_gone_on_with(toy, tmp_path):
    trained(tmp_path, toy)
    with pytest.raises(DDCoreError, match=r"expert-000.safetensors belongs to other experts.*--fresh"):
        trained(tmp_path, toy, seed=1)


def test_an_expert_that_diverges_is_one_line(toy, tmp_path):
    with pytest.raises(DDCoreError, match=r"expert 0 diverged within \d+ steps: lower --rate 1e\+30"):
        trained(tmp_path, toy, how=ExpertOptions(net="mlp", points=2, stride=4, rate=1e30))


def test_networks_with_batch_statistics_are_refused(toy, tmp_path):
    with pytest.raises(UsageError, match="batch statistics"):
        trained(tmp_path, toy, how=ExpertOptions(net="resnet18"))


def test_own_data_may_move_but_not_change(toy, tmp_path):
    own = replace(toy, name="images-pets", address="images:pets", content="1a2b")
    trained(tmp_path, own, 1)
    experts = open_experts(tmp_path, "mlp", replace(own, name="images-animals", address="images:animals"))
    assert experts.record.experts == 1 and not experts.note
    for name in ("images-pets", "images-animals"):
        with pytest.raises(UsageError, match=r"train some with train_experts\.py --dataset images:pets --net mlp"):
            open_experts(tmp_path, "mlp", replace(own, name=name, content="3c4d"))


@pytest.mark.parametrize("unfinished", [False, True])
def test_a_folder_without_finished_experts_says_how_to_make_some(toy, tmp_path, unfinished):
    if unfinished:
        trained(tmp_path, toy)
        (tmp_path / "experts.json").unlink()
    with pytest.raises(
        UsageError, match=r"holds no finished experts: .*train_experts.py --dataset toy --net mlp --out"
    ):
        open_experts(tmp_path, "mlp", toy)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"net": "convnet"}, r"experts of convnet .* not of mlp .*train_experts.py --dataset toy --net mlp"),
        ({"dataset": "mnist"}, "members of mnist in 2 classes, not of mlp"),
        ({"members": 54000}, "on 54,000 members of toy"),
        ({"parameters": 7}, r"mlp \(7 parameters\)"),
        ({"classes": 10}, "in 10 classes"),
    ],
)
def test_experts_of_another_kind_are_refused(toy, tmp_path, change, line):
    trained(tmp_path, toy, 1)
    record = json.loads((tmp_path / "experts.json").read_text())
    write_json(tmp_path / "experts.json", record | change)
    with pytest.raises(UsageError, match=line) as caught:
        open_experts(tmp_path, "mlp", toy)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["cut", "missing", "other shape", "nan", "record", "json"])
def test_damaged_files_are_refused(toy, tmp_path, damage):
    trained(tmp_path, toy)
    path, record = tmp_path / file_name(1), tmp_path / "experts.json"
    theta = load_tensors(path)[0]["theta"]
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-8])
    elif damage == "missing":
        path.unlink()
    elif damage == "other shape":
        save_tensors(path, {"theta": theta[:-1]})
    elif damage == "nan":
        save_tensors(path, {"theta": torch.full_like(theta, torch.nan)})
    elif damage == "record":
        write_json(record, {"dataset": "toy"})
    else:
        record.write_text("{")
    with pytest.raises(DDCoreError, match=record.name if damage in ("record", "json") else path.name) as caught:
        open_experts(tmp_path, "mlp", toy)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"experts": "abc"},
        {"experts": 0},
        {"points": -1},
        {"stride": 1.5},
        {"rate": None},
        {"flip": 0},
        {"net": 3},
        {"batch_size": 0},
        {"experts": 10**30},
        {"data": {}},
        {"data": []},
        {"classes": True},
    ],
)
def test_a_field_of_a_wrong_kind_is_one_line(toy, tmp_path, change):
    trained(tmp_path, toy, 1)
    record = json.loads((tmp_path / "experts.json").read_text())
    write_json(tmp_path / "experts.json", record | change)
    with pytest.raises(DDCoreError, match=r"experts\.json is damaged: .*train the experts again") as caught:
        open_experts(tmp_path, "mlp", toy)
    assert "\n" not in str(caught.value)


def test_experts_of_other_data_are_refused_or_said(toy, tmp_path):
    own = replace(toy, name="images-photos", content="abc")
    trained(tmp_path, own, 1)
    assert open_experts(tmp_path, "mlp", own).note == ""
    with pytest.raises(UsageError, match=r"another content of images-photos .*: train some with train_experts"):
        open_experts(tmp_path, "mlp", replace(own, content="abd"))
    record = json.loads((tmp_path / "experts.json").read_text())
    write_json(tmp_path / "experts.json", {name: value for name, value in record.items() if name != "data"})
    assert "does not say which content" in open_experts(tmp_path, "mlp", own).note


@pytest.mark.parametrize("note", ["[", "[]", "3", '{"record": {}}', '{"record": 1, "accuracy": 1}', "[" * 2000])
def test_a_damaged_note_of_an_expert_is_one_line(toy, tmp_path, note):
    trained(tmp_path, toy, 1)
    path = tmp_path / file_name(0)
    save_tensors(path, load_tensors(path)[0], {"expert": note})
    with pytest.raises(DDCoreError, match=file_name(0)) as caught:
        trained(tmp_path, toy, 1)
    assert "\n" not in str(caught.value)


def test_experts_are_not_gone_on_with_on_other_members(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(Checkpoints, "due", lambda self, step: True)
    monkeypatch.setattr(experts, "CHUNK", 2)
    changed = replace(toy, train=replace(toy.train, y=1 - toy.train.y))

    def stop(step, total, values):
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, toy, 1, progress=stop)
    with pytest.raises(DDCoreError, match=r"expert-000\.checkpoint was made from other members"):
        trained(tmp_path, changed, 1)
    trained(tmp_path, toy, 1)
    with pytest.raises(DDCoreError, match=r"expert-000\.safetensors belongs to other experts"):
        trained(tmp_path, changed, 1)
