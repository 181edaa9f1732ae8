"""Generators, experts, labels of a teacher and evaluations on a virtual GPU."""

from dataclasses import replace

import pytest
import torch

from ddcore.data import Examples
from ddcore.kernels import Rule
from ddcore.nets import NETS, build_net
from ddcore.selection import SELECTORS
from ddcore.sets import DistilledSet
from ddcore.synthesis.produce import select_set
from ddcore.training import (
    PROTOCOLS,
    CropOptions,
    GANRecipe,
    Setting,
    crop_labels,
    small_recipe,
    soft_examples,
    train,
    train_generator,
)
from ddcore.training.evaluation import Cell, evaluate, follow
from ddcore.training.recipes import quick
from ddcore.unroll import Schedule
from tests.virtual_gpu.cases import IMAGES
from tests.virtual_gpu.device import GPU

# They have no operators that the smaller ones do without.
LARGE = ("convnet-64", "convnet-128", "resnet18")


@pytest.mark.parametrize("net", [name for name in NETS if name not in LARGE])
def test_every_network_trains_stops_and_goes_on(gpu, grounds, net, tmp_path):
    ground = grounds["texts" if NETS[net].kind == "text" else "images"]
    task = ground.task
    recipe = quick(small_recipe(task, net, "gpu"))
    if net != "linear":
        recipe = replace(recipe, steps=3, batch_size=8)
    for kind in ("hard", "soft"):
        members = task.train[torch.arange(12)]
        if kind == "soft":
            members = Examples(members.x, members.y, ground.teacher.logits[:12], 2.0)
        trained = train(build_net(net, task, 0), task, members, recipe, Setting(0, GPU, checkpoint=tmp_path / kind))
        assert (trained.steps == recipe.steps and trained.loss > 0) or net == "linear"
        assert all(each.is_cuda for each in trained.net.parameters())
        again = train(build_net(net, task, 0), task, members, recipe, Setting(0, GPU, checkpoint=tmp_path / kind))
        assert again.steps == trained.steps


def test_a_generator_trains(gpu, grounds):
    ground = grounds["images"]
    recipe = GANRecipe(steps=2, batch_size=8, latent=4, width=4, validations=1, validation_members=10)
    made = train_generator(replace(recipe, validation_steps=2), ground.task, 0, ground.session("made-generator"))
    assert made.step in (1, 2) and not made.net.training


def test_a_teacher_labels_synthetic_members(gpu, grounds):
    ground = grounds["images"]
    small = select_set(SELECTORS["random"](), ground.problem(20), ground.session("random-20"))
    made = replace(small, x=ground.task.inputs(small.x), indices=None)
    labelled = soft_examples(made, ground.task, ground.teacher, 2.0, GPU)
    assert labelled.soft.shape == (20, 10)


@pytest.mark.parametrize("options", [CropOptions(area=0.5, top=3), CropOptions(hard_share=0.5)])
def test_a_student_learns_what_a_teacher_says_about_crops(gpu, grounds, options):
    ground = grounds["images"]
    small = select_set(SELECTORS["random"](), ground.problem(20), ground.session("random-for-crops"))
    labels = crop_labels(options, small, ground.task, ground.teacher)
    recipe = replace(PROTOCOLS["rded"].published_recipe(ground.task, 20), batch_size=8).shortened(6)
    setting = Setting(0, GPU, labels=labels)
    trained = train(build_net("mlp", ground.task, 0), ground.task, small.examples(), recipe, setting)
    assert trained.steps == 6 and trained.loss > 0 and all(each.is_cuda for each in trained.net.parameters())


@pytest.mark.parametrize("name", ["dd", "dd, known, learned labels", "dd, poison", "krr"])
def test_a_set_is_evaluated_by_its_schedule_or_recipe(gpu, grounds, name):
    ground = grounds["images"]
    loop = ground.loop(name, IMAGES[name])
    loop.synthesis.decode().save(loop.session.folder)
    small = DistilledSet.load(loop.session.folder)
    recipe = replace(small_recipe(ground.task, "mlp", "gpu"), steps=3)
    poisoned = "poison" in name
    net = small.schedule.net if small.schedule else "mlp"
    weights = build_net(net, ground.task, 1).state_dict().values()
    start = torch.cat([each.flatten() for each in weights]) if poisoned else None
    cell = Cell(small.examples(), net, recipe, 0, "cell", small.schedule, start)
    scores = evaluate([cell], ground.task, ground.task.load_test(), ground.session(f"scores-{name[:8]}"))
    assert 0 <= scores[net]["accuracy"]["mean"] <= 1


def test_all_members_of_a_step_go_through_the_network_at_once(gpu, grounds):
    task = grounds["images"].task
    members = task.train[torch.arange(60)]
    schedule = Schedule("mlp", torch.full((3,), 0.1), torch.arange(60).expand(3, -1), Rule(), "random", None, None)
    gpu.ledger.clear()
    follow(build_net("mlp", task, 0), task, members, schedule, None, GPU)
    assert gpu.ledger.launches["graph"] == 3


def test_constants_of_the_normalisation_are_copied_once(gpu, grounds):
    task = grounds["images"].task
    x = task.train.x[:3].to(GPU)
    task.inputs(x)
    gpu.ledger.clear()
    again = task.inputs(x)
    assert gpu.ledger.totals()["syncs"] == 0 and task.pixels(again).is_cuda
    assert gpu.ledger.totals()["syncs"] == 0
