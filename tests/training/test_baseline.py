from dataclasses import replace

import pytest
import torch
from guarded import guarded_task

from ddcore.errors import DDCoreError, UsageError
from ddcore.runtime.files import read_json
from ddcore.runtime.run_folder import Run
from ddcore.runtime.session import Session
from ddcore.training import loop, teacher
from ddcore.training.baseline import Baseline, _contents, distinct, save_answers, train_baseline
from ddcore.training.loop import predict
from ddcore.training.saved_networks import load_networks
from ddcore.training.teacher import load_teacher


def test_a_teacher_averages_the_logits_of_its_networks(toy, tmp_path):
    options = Baseline(net="mlp", part="fit", seeds=2, steps=5)
    record = train_baseline(options, toy, 3, Session(Run(tmp_path)))
    assert read_json(tmp_path / "scores.json") == record and record["protocol"]["tested_on"] == "validation"
    # It is tested on the validation split, and never on what it was trained on.
    assert (record["protocol"]["train_members"], record["protocol"]["test_members"]) == (108, 12)
    assert torch.tensor(record["nets"]["mlp"]["confusion"]).sum() == 2 * 12
    assert record["protocol"]["seeds"] == [3, 4] and record["protocol"]["recipes"]["mlp"]["steps"] == 5
    assert (tmp_path / "weights-3.safetensors").exists() and (tmp_path / "done").exists()
    logits = [predict(net, toy, toy.train.x, device="cpu") for net in load_networks(tmp_path, "mlp", toy)]
    torch.testing.assert_close(load_teacher(tmp_path, toy).logits, torch.stack(logits).mean(0))


def test_a_baseline_sees_all_members_and_the_test_set(toy, tmp_path):
    record = train_baseline(Baseline(net="mlp"), toy, 0, Session(Run(tmp_path), quick=True))
    assert record["protocol"]["train_members"] == len(toy.train) and record["protocol"]["tested_on"] == "test"
    assert record["protocol"]["recipes"]["mlp"]["steps"] <= 100 and not (tmp_path / "teacher.safetensors").exists()


def test_images_take_another_size_and_unknown_networks_are_refused(toy):
    assert Baseline(size=12).task_of(toy).shape == (1, 12, 12) and Baseline().task_of(toy) is toy
    with pytest.raises(UsageError, match="'vgg'"):
        Baseline(net="vgg").task_of(toy)
    with pytest.raises(UsageError, match="5x5"):
        Baseline(size=5).task_of(toy)


@pytest.mark.parametrize("kind", ["images", "text"])
def test_members_that_are_test_members_too_can_be_left_out(toy, review_task, tmp_path, kind):
    task = toy if kind == "images" else review_task
    shared = torch.tensor([3, 8, 20])
    task = replace(task, load_test=lambda: replace(task.train[shared], y=1 - task.train.y[shared]))
    contents = {bytes(each) for each in _contents(task.load_test())}
    kept = [i for i, each in enumerate(_contents(task.train)) if each not in contents]
    assert distinct(task.train, task.load_test()).tolist() == kept and not {3, 8, 20} & set(kept)
    options = Baseline(net="mlp" if kind == "images" else "bag", part="distinct", steps=2)
    protocol = train_baseline(options, task, 0, Session(Run(tmp_path), quick=True))["protocol"]
    assert protocol["tested_on"] == "test" and protocol["set"]["method"] == "whole without test members"
    assert protocol["train_members"] == protocol["set"]["members"] == len(kept) > 10


@pytest.mark.parametrize("part", ["all", "distinct", "fit"])
def test_a_training_reads_a_large_set_in_parts(tmp_path, monkeypatch, part):
    monkeypatch.setattr(loop, "BATCH", 50)
    monkeypatch.setattr(teacher, "CHUNK", 50)
    task = guarded_task(130)
    record = train_baseline(Baseline(net="mlp", part=part, seeds=2, steps=3), task, 0, Session(Run(tmp_path)))
    assert record["protocol"]["train_members"] == {"all": 600, "distinct": 600, "fit": 540}[part]
    if part == "fit":
        assert load_teacher(tmp_path, task).logits.shape == (600, 2)


def test_answers_of_a_network_that_diverged_are_refused(toy, tmp_path):
    class Far(torch.nn.Module):
        def features(self, x):
            return x.flatten(1) * 1e6

        def forward(self, x):
            return x.flatten(1)[:, : len(toy.classes)]

    with pytest.raises(DDCoreError, match="the training diverged: the network's features are no finite numbers"):
        save_answers(tmp_path / "answers.safetensors", Far(), toy, Session(Run(tmp_path)))
    assert not list(tmp_path.iterdir())
