"""A training whose step is a CUDA graph, beside the same training launch by launch."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from toys import striped

from ddcore.data import image_task
from ddcore.nets import build_net
from ddcore.runtime.checkpoints import Checkpoints
from ddcore.training import Recipe, Setting, loop, train
from ddcore.training.recipes import Changes
from tests.virtual_gpu.device import GPU

RECIPE = Recipe(
    steps=8, batch_size=10, lr=0.01, weight_decay=0.01, warmup=0.4, label_smoothing=0.1, changes=Changes(shift=1)
)
CHANGES = {
    "none": Changes(),
    "all": Changes(flip=True, shift=1, cutout=3, mixup=True),
    "cutout": Changes(cutout=3),
    "mixup": Changes(mixup=True),
}


@pytest.fixture(scope="module")
def task():
    real = striped(60, classes=3)
    return image_task("three", tuple("abc"), real, lambda: striped(9, classes=3), "made by the tests")


@pytest.fixture
def plain(monkeypatch):
    """Return a function that switches recording off and on."""
    choose = loop.stepper
    return lambda off: monkeypatch.setattr(loop, "stepper", (lambda course: course.take) if off else choose)


def weights(net, task, recipe=RECIPE, examples=None, **more):
    """Return a network's weights and running means, and their loss, after a training on the virtual GPU."""
    net = build_net(net, task, 0) if isinstance(net, str) else net
    trained = train(net, task, examples or task.train, recipe, Setting(0, GPU, **more))
    assert all(p.grad is None for p in net.parameters()), "a gradient would keep the graph's memory"
    return {"loss": torch.tensor(trained.loss), **{k: each.cpu() for k, each in net.state_dict().items()}}


def apart(ours, right):
    both = [torch.cat([each.double().flatten() for each in found.values()]) for found in (ours, right)]
    return float((both[0] - both[1]).norm() / both[1].norm())


def same(ours, right):
    return all(torch.equal(ours[key], right[key]) for key in right)


@pytest.mark.parametrize("optimiser", ["muon", "sgd", "adam"])
@pytest.mark.parametrize("net", ["resnet-s2d", "mlp"])
def test_a_recorded_training_is_the_plain_one(gpu, task, plain, net, optimiser):
    recipe = replace(RECIPE, optimiser=optimiser)
    recorded = weights(net, task, recipe)
    assert gpu.ledger.launches["graph"] == recipe.steps
    plain(True)
    assert apart(recorded, weights(net, task, recipe)) < 1e-5
    assert gpu.ledger.launches["graph"] == recipe.steps
    # Both the length and the height of the schedule tell: no rate is a constant of the graph.
    assert apart(recorded, weights(net, task, replace(recipe, warmup=0.0))) > 1e-4


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_it_changes_members_as_the_plain_one(gpu, task, plain, kind, name):
    recipe, examples = replace(RECIPE, optimiser="sgd", changes=CHANGES[name]), task.train
    if kind == "soft":
        logits = 3.0 * nn.functional.one_hot(examples.y, 3) + torch.arange(3)
        examples = replace(examples, soft=logits, temperature=2.0)
    recorded = weights("mlp", task, recipe, examples)
    assert gpu.ledger.launches["graph"] == recipe.steps
    plain(True)
    assert apart(recorded, weights("mlp", task, recipe, examples)) < 1e-5


@pytest.mark.parametrize("after", ["recorded", "plain"])
@pytest.mark.parametrize("optimiser", ["muon", "sgd", "adam"])
def test_a_killed_training_goes_on(gpu, task, plain, tmp_path, monkeypatch, optimiser, after):
    recipe = replace(RECIPE, optimiser=optimiser)
    whole = weights("resnet-s2d", task, recipe)
    monkeypatch.setattr(Checkpoints, "due", lambda self, step: True)
    monkeypatch.setattr(loop, "REPORT_STEPS", 1)

    def kill(step, steps, values):
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weights("resnet-s2d", task, recipe, checkpoint=tmp_path / "state", progress=kill)
    gpu.ledger.clear()
    plain(after == "plain")
    resumed = weights("resnet-s2d", task, recipe, checkpoint=tmp_path / "state")
    # The fifth step had not been kept when the training was killed.
    assert gpu.ledger.launches["graph"] == (4 if after == "recorded" else 0)
    assert same(resumed, whole) if after == "recorded" else apart(resumed, whole) < 1e-5


class Faulty(nn.Module):
    """A network whose pass of one number fails."""

    def __init__(self, fails, fault=RuntimeError):
        super().__init__()
        self.fails, self.fault, self.passes = fails, fault, 0
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))

    def forward(self, x):
        self.passes += 1
        logits = self.layers(x)
        if self.passes == self.fails:
            raise self.fault("this network\nfails")
        return logits


@pytest.mark.parametrize("optimiser", ["muon", "sgd", "adam"])
@pytest.mark.parametrize("fails, fault", [(1, TypeError), (2, RuntimeError), (5, ValueError), (6, RuntimeError)])
def test_a_recording_that_fails_changes_nothing(gpu, task, plain, caplog, optimiser, fails, fault):
    """Two trials come first, then three more passes on the side, the last of which is the fifth; then the recording."""
    recipe = replace(RECIPE, optimiser=optimiser)
    found = weights(Faulty(fails, fault), task, recipe)
    assert gpu.ledger.launches["graph"] == 0
    assert [record.getMessage() for record in caplog.records] == ["no CUDA graph of the training step: this network"]
    plain(True)
    assert same(found, weights(Faulty(0), task, recipe))


class Waiting(Faulty):
    """A network that reads a value."""

    def forward(self, x):
        return super().forward(x) * (2.0 if x.sum().item() > 1e9 else 1.0)


def test_a_network_that_reads_values_is_not_recorded(gpu, task, plain, caplog):
    found = weights(Waiting(0), task)
    assert gpu.ledger.launches["graph"] == 0 and "synchronizing" in caplog.text
    plain(True)
    assert same(found, weights(Waiting(0), task))


class Dropping(Faulty):
    """A network with dropout."""

    def forward(self, x):
        return super().forward(nn.functional.dropout(x, 0.3, self.training))


@pytest.mark.parametrize("optimiser", ["muon", "sgd", "adam"])
def test_a_network_that_draws_is_not_recorded(gpu, task, plain, caplog, optimiser):
    recipe = replace(RECIPE, optimiser=optimiser)
    found = weights(Dropping(0), task, recipe)
    assert gpu.ledger.launches["graph"] == 0 and not caplog.records
    plain(True)
    assert same(found, weights(Dropping(0), task, recipe))
    plain(False)
    assert same(found, weights(Dropping(0), task, recipe)), "the draws of a step are its own"
