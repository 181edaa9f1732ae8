from dataclasses import replace

import pytest
import torch
from toys import ONE_VALIDATION, prepared, problem, session_in, short_method, toy_teacher

from ddcore.errors import UsageError
from ddcore.methods.dm import DM
from ddcore.methods.registry import METHODS
from ddcore.options import changed, options_of
from ddcore.runtime.checkpoints import Checkpoints
from ddcore.runtime.session import Session
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.multi_formation import encoded, enlarged
from ddcore.synthesis.idle import idle_line
from ddcore.synthesis.multi_formation import begun
from ddcore.synthesis.outer_loop import distilled_set

FORMED = [name for name, cls in METHODS.items() if "factor" in {each.name for each in options_of(cls)}]
SHORT = {"net": "mlp", "real_batch": 8, "factor": 2, **ONE_VALIDATION}


def short(**more):
    return changed(DM(), {**SHORT, **more})


def test_all_methods_with_images_of_their_own_have_a_factor():
    assert set(METHODS) - set(FORMED) == {"boost-dd", "cover", "gan"}
    assert METHODS["gan"]().factor == METHODS["boost-dd"]().factor == 1


@pytest.mark.parametrize("name", FORMED)
def test_every_method_learns_stored_images(name, toy, tmp_path):
    prepared(tmp_path)
    method = replace(short_method(name, tmp_path, {}), factor=2)
    asked = problem(toy, 4, toy_teacher(toy, tmp_path / "teacher"), 5)
    run = begun(method, asked, Session())
    assert run.variables["x"].shape == (4, 1, 8, 8)
    began = run.decode()
    assert len(began) == 16 and began.y.bincount().tolist() == [8, 8]
    made = distilled_set(method, asked, session_in(tmp_path / "run"))
    assert made.origin.factor == 2 and made.options["budget"] == 4 and made.options["factor"] == 2 and len(made) == 16
    made.save(tmp_path / "set")
    again = DistilledSet.load(tmp_path / "set")
    assert again.origin.factor == 2 and torch.equal(again.x, made.x)


def test_each_tile_begins_as_a_real_member_of_its_own(toy):
    run = begun(short(), problem(toy, 6), Session())
    chosen = torch.tensor(run.decode().provenance["began at"])
    assert len(chosen.unique()) == 24 and torch.isin(chosen, toy.fit).all()
    real, members = toy.inputs(toy.train.x[chosen]), run.decode().x
    assert torch.equal(run.x, encoded(real[run.places], 2))
    # The nearest enlarged tile to an image is its projection: what is left is orthogonal to it.
    left = ((real - members) * members).flatten(1).sum(1)
    assert left.abs().max() < 1e-4 and members.flatten(1).norm(dim=1).min() > 1
    assert run.places.unique().tolist() == list(range(24))


def test_the_gradient_is_that_of_the_decoded_members(toy):
    run = begun(short(augment="colour,rotate"), problem(toy, 6), Session())
    (shard, *_) = run.shards(1)
    leaf = run.x.clone().requires_grad_()
    members = torch.empty(24, 1, 8, 8)
    members[run.places] = enlarged(leaf, 2)
    assert torch.equal(members, run.decode().x)
    (right,) = torch.autograd.grad(members, leaf, run.inner.gradient(shard).gradients["x"])
    found = run.gradient(shard).gradients["x"]
    torch.testing.assert_close(found, right, rtol=1e-5, atol=1e-7)
    assert found.abs().max() > 0


def test_what_the_loop_sets_reaches_the_run_inside(toy):
    run = begun(short(), problem(toy, 6), Session())
    run.use_chunk(3)
    run.mode, run.progress = "graph", print
    run.validation = replace(run.validation, networks=0)
    inner = run.inner
    assert (inner.chunk, inner.mode, inner.progress, inner.validation.networks) == (3, "graph", print, 0)
    assert (run.mode, run.progress, run.validation) == (inner.mode, inner.progress, inner.validation)
    assert run.step_operations() == inner.step_operations() > 0 and run.widest() == inner.widest()


def test_processes_that_would_be_idle_are_counted(toy):
    run = begun(short(shards=1), problem(toy, 6), Session())
    assert idle_line(run, 4).endswith("--networks 4 uses them all") and len(run.shards(0)) == 1


def test_an_interrupted_run_ends_with_the_same_bytes(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(Checkpoints, "due", lambda self, step: True)
    method = short(steps=4, augment="colour", validation_networks=0)

    def stop(step, total, values):
        if step == 2:
            raise KeyboardInterrupt

    whole = distilled_set(method, problem(toy, 6), session_in(tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        distilled_set(method, problem(toy, 6), session_in(tmp_path / "cut", stop))
    resumed = distilled_set(method, problem(toy, 6), session_in(tmp_path / "cut"))
    assert torch.equal(resumed.x, whole.x) and resumed.provenance["outer_step"] == 4


def test_classes_have_whole_stored_images_in_the_proportions_of_the_data(toy):
    pool = toy.fit[(toy.train.y[toy.fit] == 0) | (torch.arange(len(toy.fit)) < 40)]
    asked = replace(problem(toy, 8), pool=pool, proportions="data")
    made = begun(replace(short(), proportions="data"), asked, Session()).decode()
    counts = made.y.bincount()
    assert len(made) == 32 and (counts % 4 == 0).all() and counts[0] > counts[1] > 0


@pytest.mark.parametrize(
    ("budget", "factor", "line"),
    [
        (4, 3, "--factor 3 does not divide images of 8x8"),
        (40, 2, "--budget 40 is more than the [0-9]+ members of toy to choose from, 4 for each stored image"),
        (5, 2, "--budget 5 cannot be shared evenly by 2 classes: take 4 or 6"),
    ],
)
def test_what_cannot_be_is_one_line(toy, budget, factor, line):
    with pytest.raises(UsageError, match=line):
        begun(short(factor=factor), replace(problem(toy, 4), budget=budget), Session())


def test_texts_have_no_factor(review_task):
    with pytest.raises(UsageError, match="--factor 2 is for images: leave it out for imdb"):
        begun(short(), problem(review_task, 4), Session())
