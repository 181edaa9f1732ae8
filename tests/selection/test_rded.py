from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from toys import saved_networks, striped, toy_teacher

from ddcore.data import image_task
from ddcore.data.mosaics import Mosaics, cropped, padded
from ddcore.errors import UsageError
from ddcore.nets import build_net
from ddcore.problem import Problem
from ddcore.runtime import Session
from ddcore.selection import rded
from ddcore.selection.rded import RDED
from ddcore.selection.selected import selected_set
from ddcore.training import Labels


@pytest.fixture
def asked(toy, tmp_path):
    folder = saved_networks(toy, tmp_path / "teacher", "mlp", seeds=2)
    return Problem(toy, 8, toy.fit, toy_teacher(toy, folder, "mlp"), 3)


def losses(asked, crops: Mosaics):
    """The teacher's loss of each crop ``(N, factor**2)``, from the networks' definition."""
    task = asked.task
    tiles = torch.stack([Mosaics(each[:, None]).sources(task.train.x)[:, 0] for each in crops.table])
    if crops.factor > 1:
        size = tuple(side // crops.factor for side in task.shape[1:])
        rows = crops.table.flatten(0, 1).tolist()
        tiles = torch.stack([cropped(task.train.x[member], box, size) for member, *box in rows])
    x = padded(task.inputs(tiles.flatten(0, 1) if crops.factor == 1 else tiles), task.shape[1:])
    with torch.no_grad():
        logits = torch.stack([build_net("mlp", task, seed)(x) for seed in (0, 1)]).mean(0)
    y = task.train.y[crops.table[..., 0].flatten()]
    return F.cross_entropy(logits, y, reduction="none").view(crops.table.shape[:2])


def test_each_image_keeps_its_easiest_crop_and_the_easiest_are_taken(asked):
    few = RDED(candidates=12, crops=4)
    crops = few.mosaics(asked, Session())
    every = RDED(candidates=12, crops=4, keep="easiest").mosaics(replace(asked, budget=24), Session())
    assert crops.table.shape == (8, 1, 5) and every.table.shape == (24, 1, 5)
    of_all = losses(asked, every).flatten()
    for k in range(2):
        own = of_all[12 * k : 12 * k + 12]
        assert torch.equal(own, own.sort().values)
        assert torch.equal(crops.table[4 * k : 4 * k + 4], every.table[12 * k : 12 * k + 4])
    # Another crop of the same image is never easier.
    one = RDED(candidates=12, crops=4, keep="random").mosaics(replace(asked, budget=24), Session())
    first = dict(zip(one.table[:, 0, 0].tolist(), losses(asked, one).flatten().tolist(), strict=True))
    kept = dict(zip(every.table[:, 0, 0].tolist(), of_all.tolist(), strict=True))
    assert first.keys() == kept.keys() and all(kept[member] <= first[member] + 1e-6 for member in kept)
    assert sum(kept.values()) < sum(first.values())


@pytest.mark.parametrize(("keep", "rows"), [("median", slice(4, 8)), ("hardest", slice(8, 12))])
def test_other_crops_are_kept(asked, keep, rows):
    every = RDED(candidates=12).mosaics(replace(asked, budget=24), Session()).table.view(2, 12, 5)
    found = RDED(candidates=12, keep=keep).mosaics(asked, Session()).table.view(2, 4, 5)
    wanted = every[:, rows]
    assert torch.equal(found, wanted.flip(1) if keep == "hardest" else wanted)


def test_random_crops_come_from_the_same_grid_without_a_teacher(asked, toy):
    alone = replace(asked, teacher=None)
    found = RDED(candidates=12, keep="random").mosaics(alone, Session()).table[:, 0]
    one = RDED(candidates=12, keep="random").mosaics(replace(asked, budget=24), Session()).table[:, 0]
    assert {tuple(row) for row in found.tolist()} <= {tuple(row) for row in one.tolist()}
    assert not RDED(keep="random").needs_teacher("images") and RDED().needs_teacher("images")
    assert RDED(keep="random", labels=Labels("soft", 2.0)).needs_teacher("images")
    assert selected_set(RDED(keep="random"), alone, Session()).provenance["teacher"] is None


def test_the_set_holds_the_crops_as_pixels_and_says_where_they_come_from(asked, toy, tmp_path):
    small = selected_set(RDED(factor=2, candidates=20), asked, Session())
    assert small.x.dtype == torch.uint8 and small.x.shape == (8, 1, 8, 8) and small.indices is None
    assert small.y.tolist() == [0] * 4 + [1] * 4 and small.origin.tiles == 2 and small.origin.factor == 1
    table = torch.tensor(small.provenance["crops"])
    assert table.shape == (8, 4, 5) and torch.equal(Mosaics(table).pixels(toy.train.x), small.x)
    assert torch.isin(table[..., 0], asked.pool).all() and len(table[:4, :, 0].unique()) == 16
    small.save(tmp_path / "set")
    back = type(small).load(tmp_path / "set")
    assert torch.equal(back.x, small.x) and back.origin.tiles == 2 and back.digest == small.digest


def test_a_first_tile_is_easier_than_every_later_one(asked):
    found = losses(asked, RDED(factor=2, candidates=20).mosaics(asked, Session())).view(2, 4, 4)
    for own in found:
        by_tile = own.T.flatten()
        assert torch.equal(by_tile, by_tile.sort().values)


def test_soft_labels_are_the_networks_on_the_crops(asked, toy):
    small = selected_set(RDED(labels=Labels("soft", 4.0)), asked, Session())
    nets = [build_net("mlp", toy, seed) for seed in (0, 1)]
    with torch.no_grad():
        wanted = torch.stack([net(toy.inputs(small.x)) for net in nets]).mean(0)
    torch.testing.assert_close(small.soft, wanted)
    assert small.temperature == 4.0


def test_chunks_do_not_decide(asked, monkeypatch):
    whole = RDED(candidates=12).mosaics(asked, Session()).table
    monkeypatch.setattr(rded, "CHUNK", 7)
    assert torch.equal(RDED(candidates=12).mosaics(asked, Session()).table, whole)


def test_large_images_are_mosaics_by_default(tmp_path):
    task = image_task("large", ("low", "high"), striped(24, 66), lambda: striped(4, 66), "made by the tests")
    teacher = replace(toy_teacher(task, saved_networks(task, tmp_path, "mlp"), "mlp"), features=None)
    small = selected_set(RDED(crops=1), Problem(task, 4, task.fit, teacher), Session())
    assert small.origin.tiles == 2


@pytest.mark.parametrize(
    ("selector", "line"),
    [
        (RDED(factor=3), "--factor 3 does not divide images of 8x8"),
        (RDED(candidates=100), "--candidates 100: class 'low' has 54 images to choose from"),
        (RDED(candidates=3), "class 'low' needs 4 crops of different images and has 3 candidates"),
        (RDED(factor=4), "class 'low' needs 64 crops of different images and has 54 candidates"),
    ],
)
def test_what_cannot_be_had_is_refused(asked, selector, line):
    with pytest.raises(UsageError, match=line):
        selector.select(asked, Session())


def test_a_teacher_without_networks_is_refused(asked, toy):
    with pytest.raises(UsageError, match="rded asks the networks of a teacher: train one with"):
        RDED().select(replace(asked, teacher=toy_teacher(toy)), Session())
