from dataclasses import replace

import pytest
import torch
from toys import saved_networks, toy_teacher

from ddcore.data import at_hand
from ddcore.data.task import Scale
from ddcore.errors import UsageError
from ddcore.nets import build_net
from ddcore.runtime import Checkpoints, Session
from ddcore.sets import DistilledSet, Origin
from ddcore.training import Setting, train
from ddcore.training.crop_labels import SMOOTHING, CropOptions, crop_labels
from ddcore.training.protocols import PROTOCOLS
from ddcore.training.recipes import Recipe


def set_of(toy, **changes):
    members = toy.train[torch.arange(20)]
    return replace(DistilledSet("images", members.x, members.y, Origin.of(toy, "x", {}, {}), toy.scale), **changes)


@pytest.fixture
def teacher(toy, tmp_path):
    return toy_teacher(toy, saved_networks(toy, tmp_path / "teacher", "mlp", seeds=2), "mlp")


def trained(toy, labels, recipe, seed=0, **more):
    net = build_net("mlp", toy, 7)
    train(net, toy, set_of(toy).examples(), recipe, Setting(seed, "cpu", labels=labels, **more))
    return torch.cat([each.flatten() for each in net.state_dict().values()])


@pytest.fixture
def rded(toy):
    return replace(PROTOCOLS["rded"].published_recipe(toy, 20), batch_size=8).shortened(12)


@pytest.mark.parametrize("options", [CropOptions(), CropOptions(epochs=2, top=1), CropOptions(hard_share=0.5)])
def test_stored_labels_give_the_same_student_as_live_ones_bit_for_bit(toy, teacher, rded, tmp_path, options):
    live = crop_labels(options, set_of(toy), toy, teacher)
    path, said = tmp_path / "labels", []
    filed = crop_labels(replace(options, file=path), set_of(toy), toy, teacher)
    stored = filed.with_file(toy, set_of(toy).examples(), 0, 4, Session(say=said.append))
    assert "bytes in" in said[0] and path.exists()
    student = trained(toy, live, rded)
    assert torch.equal(trained(toy, stored, rded), student)
    # Without the teacher, from the file alone; another seed of the student leaves the crops as they are.
    alone = crop_labels(replace(options, file=path), set_of(toy), toy, None)
    assert alone.networks is None
    again = alone.with_file(toy, set_of(toy).examples(), 9, 4, Session())
    assert torch.equal(trained(toy, again, rded), student)
    assert not torch.equal(trained(toy, live, rded, seed=1), student)


def test_a_batch_of_another_size_sees_the_same_crops_and_labels(toy, teacher):
    labels = crop_labels(CropOptions(), set_of(toy), toy, teacher)
    examples = at_hand(set_of(toy).examples(), "cpu")
    feed = labels.feed(toy, examples, 3, 5)
    whole = feed.batch(2, torch.arange(20))
    some = feed.batch(2, torch.tensor([7, 3]))
    assert torch.equal(some.x, whole.x[[7, 3]]) and torch.equal(some.soft, whole.soft[[7, 3]])
    assert some.y.tolist() == examples.y[[7, 3]].tolist() and some.temperature == 20.0
    other = labels.feed(toy, examples, 3, 5).batch(3, torch.arange(20))
    assert not torch.equal(other.x, whole.x) and not torch.equal(other.soft, whole.soft)
    nets = [build_net("mlp", toy, seed) for seed in (0, 1)]
    with torch.no_grad():
        wanted = torch.stack([net(whole.x) for net in nets]).mean(0)
    torch.testing.assert_close(whole.soft, wanted, rtol=1e-3, atol=1e-3)


def test_hard_epochs_lie_in_the_middle(toy, teacher):
    labels = crop_labels(CropOptions(hard_share=0.6), set_of(toy), toy, teacher)
    feed = labels.feed(toy, at_hand(set_of(toy).examples(), "cpu"), 0, 10)
    members = torch.arange(20)
    batches = [feed.batch(epoch, members) for epoch in range(10)]
    assert [batch.temperature for batch in batches] == [20.0] * 2 + [1.0] * 6 + [20.0] * 2
    assert len({batch.x.numpy().tobytes() for batch in batches}) == 10
    p = batches[4].targets(2)
    torch.testing.assert_close(p.sum(1), torch.ones(20))
    assert float(p.min()) >= SMOOTHING / 2 - 1e-6 and float(p.max()) <= 1 - SMOOTHING / 2 + 1e-6


def test_epochs_are_used_again_and_hard_labels_need_no_teacher(toy, teacher):
    examples, members = at_hand(set_of(toy).examples(), "cpu"), torch.arange(20)
    feed = crop_labels(CropOptions(epochs=2), set_of(toy), toy, teacher).feed(toy, examples, 0, 6)
    x = [feed.batch(epoch, members).x for epoch in range(4)]
    assert torch.equal(x[0], x[2]) and torch.equal(x[1], x[3]) and not torch.equal(x[0], x[1])
    hard = crop_labels(CropOptions(), set_of(toy), toy, None, hard=True)
    batch = hard.feed(toy, examples, 0, 3).batch(1, members)
    assert batch.temperature == 1.0 and hard.soft_epochs(3) == 0
    assert set(batch.targets(2)[batch.targets(2).max(1).values == 1].argmax(1).tolist()) == {0, 1}


def test_mosaics_are_cropped_by_default_and_single_images_are_not(toy, teacher):
    assert crop_labels(CropOptions(), set_of(toy), toy, teacher).area == 1.0
    small = set_of(toy)
    mosaics = replace(small, origin=replace(small.origin, tiles=2))
    labels = crop_labels(CropOptions(), mosaics, toy, teacher)
    assert labels.area == 0.5 and labels.tiles == 2 and labels.flip
    assert crop_labels(CropOptions(area=0.08), small, toy, teacher).area == 0.08
    assert not crop_labels(CropOptions(), small, replace(toy, name="digits"), teacher).flip


def test_other_recipes_are_trained_with_crops_in_place_of_their_changes(toy, teacher):
    recipe = Recipe(steps=6, batch_size=8)
    labels = crop_labels(CropOptions(temperature=4.0), set_of(toy), toy, teacher)
    first = trained(toy, labels, recipe)
    from ddcore.training.recipes import Changes

    assert torch.equal(trained(toy, labels, replace(recipe, changes=Changes(shift=1, mixup=True))), first)
    assert not torch.equal(trained(toy, None, recipe), first)


def test_a_training_that_resumes_has_the_same_bits(toy, teacher, rded, tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    def progress(done, *_):
        if done == 40:
            raise Killed

    long = replace(PROTOCOLS["rded"].published_recipe(toy, 20), batch_size=8).shortened(60)
    labels = crop_labels(CropOptions(), set_of(toy), toy, teacher)
    monkeypatch.setattr(Checkpoints, "due", lambda self, step: step % 20 == 0)
    with pytest.raises(Killed):
        trained(toy, labels, long, progress=progress, checkpoint=tmp_path / "state")
    resumed = trained(toy, labels, long, checkpoint=tmp_path / "state")
    assert torch.equal(resumed, trained(toy, labels, long))


@pytest.mark.parametrize(
    ("options", "changes", "line"),
    [
        (CropOptions(top=3), {}, "--label-top 3: toy has 2 classes"),
        (CropOptions(), {"kind": "tokens"}, "labels by crop are for images, this set holds tokens"),
    ],
)
def test_what_makes_no_sense_is_refused(toy, teacher, options, changes, line):
    with pytest.raises(UsageError, match=line):
        crop_labels(options, set_of(toy, **changes), toy, teacher)


def test_sets_and_teachers_of_another_normalisation_and_missing_ones_are_refused(toy, teacher, tmp_path):
    floats = set_of(toy, x=toy.inputs(set_of(toy).x))
    assert crop_labels(CropOptions(), floats, toy, teacher).networks is not None
    with pytest.raises(UsageError, match="this set reads images normalised by"):
        crop_labels(CropOptions(), replace(floats, scale=Scale((0.9,), (0.1,))), toy, teacher)
    with pytest.raises(UsageError, match="reads images normalised by"):
        crop_labels(CropOptions(), floats, toy, replace(teacher, scale=Scale((0.9,), (0.1,))))
    with pytest.raises(UsageError, match="--labels crops asks the networks of a teacher"):
        crop_labels(CropOptions(file=tmp_path / "missing"), floats, toy, None)
