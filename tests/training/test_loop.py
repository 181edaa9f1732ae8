from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ddcore.errors import DDCoreError
from ddcore.nets.registry import build_net
from ddcore.runtime.checkpoints import Checkpoints
from ddcore.training import loop as training
from ddcore.training.loop import Setting, features, predict, train, validated
from ddcore.training.recipes import Changes, Recipe

RECIPE = Recipe(steps=12, batch_size=8, lr=0.05, changes=Changes(flip=True, shift=1, cutout=2))


def trained(task, recipe=RECIPE, examples=None, **more):
    net = build_net("resnet-s2d", task, 0)
    train(net, task, examples or task.train, recipe, Setting(**{"seed": 0, "device": "cpu", **more}))
    return net.state_dict()


def test_validation_reads_the_validation_part_alone(task):
    held = replace(task, validation=torch.tensor([0, 1, 2, 3]))
    recipe = Recipe(steps=40, batch_size=16, lr=0.05)
    score = validated(build_net("mlp", held, 0), held, held.train[held.fit], recipe, Setting(seed=0, device="cpu"))
    assert score == 1.0
    swapped = held.train.y.clone()
    swapped[:4] = 1 - swapped[:4]
    wrong = replace(held, train=replace(held.train, y=swapped))
    assert (
        validated(build_net("mlp", wrong, 0), wrong, wrong.train[wrong.fit], recipe, Setting(seed=0, device="cpu"))
        == 0.0
    )


def same(first, second):
    return all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("net", ["resnet-s2d", "mlp"])
@pytest.mark.parametrize("optimiser, lr", [("muon", 0.05), ("sgd", 0.05), ("adam", 0.005)])
def test_learns_the_toy(task, optimiser, lr, net):
    network = build_net(net, task, 0)
    recipe = Recipe(steps=40, batch_size=16, optimiser=optimiser, lr=lr)
    result = train(network, task, task.train, recipe, Setting(seed=0, device="cpu"))
    assert (predict(result.net, task, task.train.x, device="cpu").argmax(1) == task.train.y).all()
    assert result.steps == 40 and result.seconds > 0 and result.loss < 0.3


def test_same_seed_same_bits_other_seed_other_bits(task):
    assert same(trained(task), trained(task))
    assert not same(trained(task), trained(task, seed=1))


@pytest.mark.parametrize("optimiser", ["muon", "sgd", "adam"])
def test_a_killed_training_ends_with_the_same_bits(task, optimiser, tmp_path, monkeypatch):
    recipe = replace(RECIPE, optimiser=optimiser, lr=0.01)
    monkeypatch.setattr(Checkpoints, "due", lambda self, step: True)
    monkeypatch.setattr(training, "REPORT_STEPS", 1)
    checkpoint = tmp_path / "state.safetensors"

    def kill(step, steps, values):
        if step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(task, recipe, checkpoint=checkpoint, progress=kill)
    seen = []
    continued = trained(task, recipe, checkpoint=checkpoint, progress=lambda *a: seen.append(a[0]))
    assert seen == [7, 8, 9, 10, 11, 12]
    assert same(continued, trained(task, recipe))


def test_a_checkpoint_of_another_training_is_refused(task, tmp_path, monkeypatch):
    monkeypatch.setattr(Checkpoints, "due", lambda self, step: True)
    checkpoint = tmp_path / "state.safetensors"
    trained(task, checkpoint=checkpoint)
    with pytest.raises(DDCoreError, match="another run"):
        trained(task, replace(RECIPE, steps=13), checkpoint=checkpoint)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DDCoreError, match="not a readable"):
        trained(task, checkpoint=checkpoint)


def test_a_diverging_training_says_so(task):
    with pytest.raises(DDCoreError, match="lower the learning rate"):
        trained(task, Recipe(steps=12, optimiser="sgd", lr=1e30, warmup=0))


def test_soft_labels_train(task):
    soft = replace(task.train, soft=F.one_hot(1 - task.train.y, 2) * 8.0, temperature=2.0)
    net = build_net("mlp", task, 0)
    train(net, task, soft, Recipe(steps=40, batch_size=16, lr=0.05), Setting(seed=0, device="cpu"))
    assert (predict(net, task, soft.x, device="cpu").argmax(1) == 1 - soft.y).all()


def test_predictions_do_not_depend_on_the_batch(task, monkeypatch):
    net = build_net("resnet-s2d", task, 0)
    whole = predict(net, task, task.train.x, device="cpu")
    assert whole.shape == (40, 2) and not net.training
    rows = features(net, task, task.train.x, device="cpu")
    monkeypatch.setattr(training, "BATCH", 7)
    assert torch.allclose(whole, predict(net, task, task.train.x, device="cpu"), atol=1e-5)
    some = torch.tensor([30, 2, 2, 17, 5, 6, 8, 9])
    assert rows.shape == (40, 128)
    torch.testing.assert_close(features(net, task, task.train.x, device="cpu", members=some), rows[some])


def test_large_images_are_asked_about_in_smaller_batches(task, monkeypatch):
    net, sizes = build_net("mlp", task, 0), []
    monkeypatch.setattr(net, "forward", lambda x: sizes.append(len(x)) or torch.zeros(len(x), 2))
    numbers = task.train.x[0].numel()
    for pixels, size in ((numbers, [40]), (numbers // 4, [10] * 4), (1, [1] * 40)):
        monkeypatch.setattr(training, "BATCH", 40)
        monkeypatch.setattr(training, "PIXELS", pixels)
        sizes.clear()
        predict(net, task, task.train.x, device="cpu")
        assert sizes == size


def test_a_training_on_some_members_is_one_on_a_copy_of_them(task, tmp_path):
    some = torch.arange(0, 40, 3)
    assert same(trained(task, members=some), trained(task, examples=task.train[some]))
    assert not same(trained(task, members=some), trained(task))


def test_a_training_is_not_resumed_on_another_part_of_the_same_members(task, tmp_path, monkeypatch):
    monkeypatch.setattr(Checkpoints, "due", lambda self, step: True)
    checkpoint, some = tmp_path / "state.safetensors", torch.arange(20)
    trained(task, checkpoint=checkpoint, members=some)
    with pytest.raises(DDCoreError):
        trained(task, checkpoint=checkpoint, members=some + 1)


@pytest.mark.parametrize("part", ["x", "y"])
def test_a_training_is_not_gone_on_with_on_other_members(task, tmp_path, monkeypatch, part):
    monkeypatch.setattr(Checkpoints, "due", lambda self, step: True)
    checkpoint = tmp_path / "state.safetensors"
    trained(task, checkpoint=checkpoint)
    other = replace(task.train, **{part: getattr(task.train, part).flip(0)})
    with pytest.raises(DDCoreError, match=r"state\.safetensors was made from other members"):
        trained(replace(task, train=other), checkpoint=checkpoint)
    trained(task, checkpoint=checkpoint)


class Watched(nn.Module):
    """A linear network with dropout that notes the mode it is asked in."""

    def __init__(self):
        super().__init__()
        self.dropout, self.linear = nn.Dropout(0.5), nn.Linear(64, 2)
        self.modes = []

    def forward(self, x):
        self.modes.append(self.training)
        return self.linear(self.dropout(x.flatten(1)))


def test_networks_train_in_training_mode_and_are_asked_in_the_other(task):
    held = replace(task, validation=torch.arange(4))
    net = Watched().eval()
    validated(net, held, held.train[held.fit], Recipe(steps=5, batch_size=8), Setting(seed=0, device="cpu"))
    assert net.modes == [True] * 5 + [False]
    train(net, task, task.train, Recipe(steps=2, batch_size=8), Setting(seed=0, device="cpu"))
    assert net.modes[6:] == [True] * 2
