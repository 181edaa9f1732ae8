"""Training and repetition on a GPU."""

from dataclasses import replace

import pytest
import torch

from ddcore import distill, load_task
from ddcore.methods import METHODS
from ddcore.nets import build_net
from ddcore.options import changed
from ddcore.runtime import precise
from ddcore.training import Setting, loop, small_image_recipe, train, validated, whole_recipe


@pytest.mark.parametrize("mode", ["ieee", "tf32", "bf16"])
@pytest.mark.parametrize("name", ["convnet", "mlp", "resnet-gn"])
def test_a_network_learns_digits_in_every_precision(gpu, name, mode):
    task = load_task("digits")
    net = build_net(name, task, 0)
    with precise(mode):
        recipe = replace(whole_recipe(task, name, "gpu"), steps=150)
        accuracy = validated(net, task, task.train[task.fit], recipe, Setting(0, gpu))
    print(name, mode, accuracy)
    assert accuracy > 0.9


@pytest.mark.parametrize("optimiser", ["muon", "sgd", "adam"])
@pytest.mark.parametrize("name", ["convnet", "mlp", "resnet-gn", "resnet-s2d"])
def test_a_recorded_step_is_the_plain_one(gpu, name, optimiser, monkeypatch, caplog):
    task = load_task("digits")
    recipe = replace(small_image_recipe(task, name, "gpu"), steps=6, optimiser=optimiser, lr=0.005)
    start = build_net(name, task, 0).to(gpu)
    ends = []
    for choose in (loop.stepper, lambda course: course.take):
        monkeypatch.setattr(loop, "stepper", choose)
        net = train(build_net(name, task, 0), task, task.train, recipe, Setting(0, gpu)).net
        ends.append(
            torch.cat([(p - q).flatten() for p, q in zip(net.parameters(), start.parameters(), strict=True)]).detach()
        )
    recorded, plain = ends
    apart = float((recorded - plain).norm() / plain.norm())
    print(name, optimiser, f"{apart:.1e}")
    # Adam makes full steps of gradients that are rounding.
    assert apart < 0.1 and not caplog.records, "without a graph there is a warning"


@pytest.mark.parametrize("name", ["dm", "rat-bptt", "krr"])
def test_the_same_seed_gives_nearly_the_same_set(gpu, name):
    short = changed(METHODS[name](), {"steps": 3, "validations": 1})
    first, second = (distill(load_task("digits"), 20, short).inputs() for _ in range(2))
    apart = float((first - second).norm() / first.norm())
    print(name, f"{apart:.1e}")
    assert apart < 0.05 and torch.isfinite(first).all()
