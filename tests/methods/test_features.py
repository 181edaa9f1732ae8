import pytest
import torch
from torch import nn
from toys import ONE_VALIDATION, started, striped

from ddcore.data.images import image_task
from ddcore.data.siamese import Changes
from ddcore.methods import real_batches
from ddcore.methods.dm import DM
from ddcore.methods.features import LOTS, PIECE, FeatureMatching, Features, distances, drawn_together, embedded
from ddcore.methods.matching import MatchingRun
from ddcore.nets.registry import build_net
from ddcore.options import changed

CLASSES = 3


def features(counts, seed):
    draws = torch.Generator().manual_seed(seed)
    rows = torch.randn(sum(counts), 6, generator=draws, dtype=torch.float64)
    return Features(rows, torch.arange(CLASSES).repeat_interleave(torch.tensor(counts)), counts)


def by_hand(real, made, moments):
    """The distances as the paper writes them, with the covariances spelled out."""
    found = []
    for k in range(CLASSES):
        a, b = (each.rows[each.of == k] for each in (real, made))
        total = ((a.mean(0) - b.mean(0)) ** 2).sum()
        if moments == 2:
            apart = torch.cov(a.T, correction=0) - torch.cov(b.T, correction=0)
            total = total + (apart**2).sum() / (a**2).mean()
        found.append(total)
    return torch.stack(found)


@pytest.mark.parametrize("moments", [1, 2])
def test_the_distances_and_their_gradient_by_hand(moments):
    real, made = features((10, 9, 11), 0), features((4, 5, 3), 1)
    leaf = made.rows.requires_grad_()
    ours, right = distances(real, made, moments), by_hand(real, made, moments)
    torch.testing.assert_close(ours, right)
    torch.testing.assert_close(*(torch.autograd.grad(each.sum(), leaf)[0] for each in (ours, right)))


@pytest.mark.parametrize("net", ["convnet", "resnet-s2d"])
def test_a_few_at_a_time_give_what_all_at_once_give(toy, net):
    built = build_net(net, toy, 0).train()
    x = torch.randn(PIECE + 5, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(embedded(built, x), built.features(x).flatten(1), rtol=1e-4, atol=1e-5)


@pytest.fixture
def ten(toy):
    """Ten classes of the toy's images."""
    return image_task("ten", tuple("abcdefghij"), striped(300, classes=10), lambda: striped(40, classes=10), "made")


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    monkeypatch.setattr(FeatureMatching, "_joined", lambda self, net: True)
    monkeypatch.setattr(
        Changes, "in_turn", lambda self, x, counts: pytest.fail("a GPU takes all transformations together")
    )
    monkeypatch.setattr(
        real_batches, "_changed", lambda x, members, changes: changes.together(x, members.of, members.sizes)
    )


def dm(task, **more):
    options = {"net": "convnet", "real_batch": 8, "networks": 2, **ONE_VALIDATION, **more}
    return started(changed(DM(), options), task, 20)


@pytest.mark.parametrize("shards", [3, 8])
def test_batches_of_shards_give_what_single_shards_give(ten, as_on_a_gpu, monkeypatch, shards):
    made = dm(ten, shards=shards)
    mine = made.shards(2)
    together = made.gradients(mine)
    monkeypatch.undo()
    alone = made.gradients(mine)
    assert len(together) == 2 * shards
    for ours, right in zip(together, alone, strict=True):
        assert ours.values["loss"] == pytest.approx(right.values["loss"], rel=1e-5)
        torch.testing.assert_close(ours.gradients, right.gradients, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shards", [5, 8])
def test_two_processes_compute_the_batches_of_one(ten, as_on_a_gpu, shards):
    made = dm(ten, shards=shards)
    mine = made.shards(2)
    one = made.gradients(mine)
    for first in range(LOTS):
        for ours, right in zip(made.gradients(mine[first::LOTS]), one[first::LOTS], strict=True):
            assert ours.values == right.values and torch.equal(ours.gradients["x"], right.gradients["x"])
    assert made.gradients([]) == [], "a process without work"


class Remembering(nn.Module):
    """Features that depend on how often the network has been used."""

    def __init__(self, key):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0 + key))
        self.register_buffer("uses", torch.zeros(()))

    def features(self, x):
        self.uses += 1
        return x.flatten(1) * self.scale * float(self.uses)


def test_a_network_is_built_once_a_step_and_stays_as_it_was_made(ten, monkeypatch):
    built = []

    def fresh(self, *key):
        built.append(key)
        return Remembering(len(key) == 3 and key[-1])

    monkeypatch.setattr(MatchingRun, "fresh", fresh)
    monkeypatch.setattr("ddcore.methods.dm.need_features", lambda *given: None)
    made = dm(ten, shards=3)
    built.clear()
    mine = made.shards(3)
    whole = made.gradients(mine)
    assert built == [("embed", 3, 0), ("embed", 3, 1)] and len(mine) == 6
    for shard, part in list(zip(mine, whole, strict=True))[3:]:
        alone = made.gradient(shard)
        assert torch.equal(alone.gradients["x"], part.gradients["x"]) and alone.values == part.values
    assert built[2:] == [], "the last one is kept"
    assert made.gradient(mine[0]).values == whole[0].values and built[2:] == [("embed", 3, 0)]


def test_a_gpu_joins_only_what_does_not_depend_on_the_batch(ten):
    shards = dm(ten, shards=5, networks=1).shards(0)
    assert drawn_together(shards, False) == [[[shard]] for shard in shards]
    assert drawn_together(shards, True) == [[list(shards[0::2]), list(shards[1::2])]]
    assert drawn_together(shards[:1], True) == [[list(shards[:1])]]
