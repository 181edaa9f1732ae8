"""What an outer step launches, and how often its host waits, at a size that a GPU is asked for: 10 classes of 50."""

from dataclasses import replace

import pytest
import torch
from toys import striped

from ddcore.data import image_task
from ddcore.methods import METHODS
from ddcore.nets import build_generator, build_net, save_generator
from ddcore.options import changed
from ddcore.synthesis import Loop
from ddcore.training import Setting, Teacher, small_image_recipe, train
from tests.virtual_gpu.cases import Ground, counted_step
from tests.virtual_gpu.device import GPU

EACH = 50


@pytest.fixture
def ground(tmp_path):
    real = striped(2000, classes=10)
    task = image_task("ten", tuple("abcdefghij"), real, lambda: striped(40, classes=10), "made by the tests")
    return Ground(task, tmp_path, None)


def step(gpu, ground, name, **options):
    """Return what a step costs with default options but for these and the validation."""
    method = changed(METHODS[name](), {"validations": 1, **options})
    session = ground.session(name)
    return counted_step(gpu, Loop(method.start(ground.problem(10 * EACH), session), session))


def waits(gpu):
    """Return how often the host waited: a copy from pinned memory, which is counted too, waits for nothing."""
    return sum(count for (_, place), count in gpu.ledger.syncs.items() if "runtime/transfer.py" not in place)


def test_dm_launches_little_and_waits_for_its_loss_and_its_check_alone(gpu, ground):
    counts = step(gpu, ground, "dm")
    assert counts["launches"] + counts["triton"] <= 150
    # Copies from pinned memory wait for nothing.
    assert counts["syncs"] <= 2 and counts["copies"] <= 6


def test_gan_as_well(gpu, ground):
    save_generator(build_generator(ground.task, 8, 8, 0), ground.task, ground.folder / "generator")
    counts = step(gpu, ground, "gan", generator=str(ground.folder / "generator"))
    assert counts["launches"] + counts["triton"] <= 290 and counts["syncs"] <= 2


@pytest.mark.parametrize("net", ["resnet-s2d", "resnet-gn", "convnet"])
def test_a_training_step_launches_little_and_never_waits(gpu, ground, net):
    recipe = small_image_recipe(ground.task, net, "gpu")
    found = []
    # The first training fills caches.
    for steps in (3, 3, 4):
        built = build_net(net, ground.task, 0)
        gpu.ledger.clear()
        train(built, ground.task, ground.task.train, replace(recipe, steps=steps), Setting(0, GPU))
        found.append(gpu.ledger.totals())
    _, first, last = found
    # A copy of what is drawn, the graph, and the running mean of the losses.
    assert last["launches"] - first["launches"] == 3 and last["triton"] == first["triton"]
    assert last["copies"] - first["copies"] == 1
    assert last["syncs"] <= first["syncs"], "only the last step's loss is read"


def test_frepo_copies_its_networks_in_one_go_and_trains_them_by_graphs(gpu, ground):
    logits = torch.randn(len(ground.task.train), 10, generator=torch.Generator().manual_seed(0))
    taught = replace(ground, teacher=Teacher(logits, None, "mlp", "nowhere"))
    counts = step(gpu, taught, "frepo", init="random")
    assert counts["launches"] + counts["triton"] <= 280


def test_the_losses_of_dc_come_in_one_transfer(gpu, ground):
    step(gpu, ground, "dc", real_batch=4, net="mlp", inner=1)
    assert waits(gpu) == 2
