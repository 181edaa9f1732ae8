"""Every method on images and classes that are too many for today's whole batches."""

from dataclasses import replace

import pytest
import torch
from guarded import Guarded
from toys import IMAGE_METHODS, SAVED, problem, saved_networks, short_method, started, striped

from ddcore.data.examples import Examples
from ddcore.data.images import image_task
from ddcore.methods.dc import DC
from ddcore.methods.dm import DM
from ddcore.methods.features import PIECE
from ddcore.methods.gradient_matching import GradientMatchingRun
from ddcore.nets.generator import build_generator, save_generator
from ddcore.options import changed
from ddcore.runtime.run_folder import Run
from ddcore.runtime.session import Session
from ddcore.synthesis.sizes import chunk_of
from ddcore.training.experts import ExpertOptions, train_experts
from ddcore.training.teacher import Teacher

CLASSES, SIDE, MOST = 104, 36, 120
TOY = {"nets": "convnet", "net": "convnet", "real_batch": 4, "batches": 8, "epochs": 1, "window_steps": 1}
TOY |= {"inner_steps": 1, "inner_batch": 8, "max_start": 0, "ahead": 1, "networks": 1, "blocks": "1", "pool": 1}
SMALL = {"steps": 1, "real_batch": 12, "augment": "colour,crop,cutout,flip,scale,rotate"}


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """More than a hundred classes of coloured images, a teacher by hand, and a folder with experts and a generator."""
    names = tuple(f"class {k}" for k in range(CLASSES))
    task = image_task("large", names, striped(416, SIDE, 3, CLASSES), lambda: striped(104, SIDE, 3, CLASSES), "made")
    folder = tmp_path_factory.mktemp("large")
    experts = ExpertOptions(net="convnet", points=1, stride=1, batch_size=8)
    train_experts(experts, 1, task, 0, Session(Run(folder / "experts")))
    save_generator(build_generator(task, 4, 4, 0), task, folder / "generator")
    logits = torch.randn(416, CLASSES, generator=torch.Generator().manual_seed(0))
    return task, Teacher(logits, logits, SAVED, "nowhere", saved_networks(task, folder / "teacher")), folder


@pytest.mark.parametrize("name", IMAGE_METHODS)
def test_no_method_reads_more_than_a_batch_of_the_training_set(name, large):
    task, teacher, folder = large
    guarded = replace(task, train=Examples(Guarded.of(task.train.x, MOST), task.train.y))
    run = started(short_method(name, folder, TOY), guarded, CLASSES, teacher)
    run.use_chunk(16)
    part = run.gradient(run.shards(0)[0])
    assert all(bool(gradient.isfinite().all()) for gradient in part.gradients.values())
    assert run.step_operations() > 0 and min(run.widest()) > 0


def test_a_step_of_many_classes_draws_a_hundred_of_them(large):
    task, _, _ = large
    run = started(DM(), task, CLASSES)
    drawn = [[k for shard in run.shards(step) for k in shard.classes] for step in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2] and drawn[0] == sorted(set(drawn[0]))
    assert [len(each) for each in drawn] == [100] * 3
    few = started(changed(DM(), {"classes_per_step": 3, "networks": 2}), task, CLASSES).shards(0)
    assert sorted({k for shard in few for k in shard.classes}) == sorted(k for shard in few[:3] for k in shard.classes)
    everything = started(changed(DM(), {"classes_per_step": 500}), task, CLASSES).shards(0)
    assert [k for shard in everything for k in shard.classes] == list(range(CLASSES))


def four_classes(side=SIDE, count=96):
    return image_task("four", tuple("abcd"), striped(count, side, 3, 4), lambda: striped(16, side, 3, 4), "made")


def test_features_in_chunks_of_their_usual_pieces_have_the_same_bits():
    whole, parts = (started(changed(DM(), {**SMALL, "shards": 2}), four_classes(count=240), 160) for _ in range(2))
    parts.use_chunk(PIECE)
    for ours, right in zip(parts.gradients(parts.shards(0)), whole.gradients(whole.shards(0)), strict=True):
        assert torch.equal(ours.gradients["x"], right.gradients["x"]) and ours.values == right.values


@pytest.mark.parametrize("chunk", [1, 5])
def test_smaller_chunks_of_features_change_their_rounding_only(chunk):
    options = changed(DM(), {**SMALL, "moments": 2, "shards": 2})
    whole, parts, again = (started(options, four_classes(), 40) for _ in range(3))
    parts.use_chunk(chunk)
    again.use_chunk(chunk)
    ours, same, right = (run.gradients(run.shards(0)) for run in (parts, again, whole))
    for a, b, c in zip(ours, same, right, strict=True):
        assert torch.equal(a.gradients["x"], b.gradients["x"]) and a.values == b.values
        torch.testing.assert_close(a.gradients, c.gradients, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["dc", "frepo", "krr", "gan"])
def test_a_step_in_chunks_has_the_gradient_of_a_whole_one(name, large, tmp_path):
    task, teacher, folder = large
    more = {**TOY, "real_batch": 12, "augment": "rotate", "classes_per_step": 6, "shards": 2}
    whole, parts = (started(short_method(name, folder, more), task, 2 * CLASSES, teacher) for _ in range(2))
    parts.use_chunk(5 if name != "dc" else 1)
    for ours, right in zip(parts.gradients(parts.shards(0)), whole.gradients(whole.shards(0)), strict=True):
        torch.testing.assert_close(ours.gradients, right.gradients, rtol=2e-3, atol=1e-6)
        assert ours.values["loss"] == pytest.approx(right.values["loss"], rel=1e-4)


def test_a_network_over_batches_sees_whole_batches(monkeypatch):
    seen = []
    run = started(changed(DC(), {**SMALL, "net": "resnet-s2d", "augment": "none"}), four_classes(), 8)
    run.use_chunk(2)
    monkeypatch.setattr(GradientMatchingRun, "_trained", lambda *given: {})
    run.scratch.register_forward_hook(lambda net, inputs, output: seen.append(len(output)))
    run.gradients(run.shards(0))
    assert set(seen) == {12, 2}


def test_the_chunk_depends_on_the_size_of_images_alone():
    cpu = torch.device("cpu")
    sizes = [chunk_of(cpu, shape) for shape in ((1, 28, 28), (3, 32, 32), (3, 64, 64), (3, 224, 224))]
    assert sizes == [0, 0, 64, 5]


def test_few_members_of_a_class_are_said_once():
    said = []
    options = changed(DM(), {"real_batch": 100})
    options.start(problem(four_classes(8), 8), Session(say=said.append))
    assert len(said) == 1 and said[0].startswith("note: 4 of 4 classes have fewer members than --real-batch 100")
    said.clear()
    changed(DM(), {"real_batch": 2}).start(problem(four_classes(8), 8), Session(say=said.append))
    assert said == []
