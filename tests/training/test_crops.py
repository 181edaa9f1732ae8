from dataclasses import replace

import pytest
import torch
from toys import saved_networks, toy_teacher

from ddcore.data import at_hand
from ddcore.training import crops
from ddcore.training.crops import Crops, answers, joined, kept
from ddcore.training.teacher_networks import teacher_networks
from ddcore.training.top_logits import TopLogits


@pytest.fixture
def few(toy):
    return at_hand(toy.train[torch.arange(21)], "cpu")


@pytest.fixture
def networks(toy, tmp_path):
    return teacher_networks(toy_teacher(toy, saved_networks(toy, tmp_path, "mlp"), "mlp"), toy, "it")


def test_crops_are_drawn_again_and_repeat_after_their_epochs(toy, few):
    own = Crops(3, 0.5, True, 1, 4)
    first, again, later = (own.epoch(number, toy, few).changes.table for number in (1, 5, 2))
    assert torch.equal(first, again) and not torch.equal(first, later)
    assert torch.equal(first, replace(own, epochs=9).epoch(1, toy, few).changes.table)
    assert not torch.equal(first, replace(own, seed=4).epoch(1, toy, few).changes.table)


def test_pixels_and_normalised_images_give_the_same_crops(toy, few):
    epoch = Crops(0, 0.5, True, 1, 2).epoch(0, toy, few)
    members = torch.tensor([4, 0, 20])
    x = epoch.images(members)
    assert x.shape == (3, *toy.shape) and x.dtype == torch.float32
    floats = Crops(0, 0.5, True, 1, 2).epoch(0, toy, replace(few, x=toy.inputs(few.x)))
    assert torch.equal(floats.images(members), x)
    assert torch.equal(epoch.images(torch.arange(21))[members], x)


def test_hard_labels_are_mixed_by_area(toy, few):
    epoch = Crops(1, 1.0, False, 1, 1).epoch(0, toy, few)
    members = torch.arange(21)
    labels, share = epoch.mixed_labels(members, 2), epoch.changes.shares(members)
    torch.testing.assert_close(labels.sum(1), torch.ones(21))
    partner = few.y[epoch.changes.partners(members)]
    for row, y, other, part in zip(labels, few.y, partner, share, strict=True):
        wanted = torch.zeros(2)
        wanted[y] += 1 - part
        wanted[other] += part
        torch.testing.assert_close(row, wanted)


def test_answers_come_in_chunks_of_the_set_in_half_precision(toy, few, networks, monkeypatch):
    epoch = Crops(2, 0.5, True, 1, 1).epoch(0, toy, few)
    monkeypatch.setattr(crops, "CHUNK", 8)
    parts = list(answers(networks, epoch, 2))
    assert [(rows.start, rows.stop) for rows, _ in parts] == [(0, 8), (8, 16), (16, 21)]
    found = joined([part for _, part in parts])
    assert found.dtype == torch.float16 and found.shape == (21, 2)
    torch.testing.assert_close(found.float(), networks.logits(epoch.images(torch.arange(21))), rtol=1e-3, atol=1e-3)


def test_only_the_largest_logits_are_kept():
    logits = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    few = kept(logits, 3)
    assert isinstance(few, TopLogits) and few.top.shape == (5, 3) and few.shape == (5, 7)
    both = joined([few, kept(logits, 3)])
    assert len(both) == 10 and torch.equal(both[torch.arange(5, 10)], few[torch.arange(5)])
    assert torch.equal(kept(logits, 7), logits.half())
    assert kept(torch.full((1, 2), 1e9), 2).isfinite().all()
