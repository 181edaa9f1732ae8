from dataclasses import replace

import torch
from guarded import Guarded

from ddcore.data import gathering
from ddcore.data.gathering import at_hand, batch_of, gathered, near, used

META, CPU = torch.device("meta"), torch.device("cpu")


def test_small_sets_move_to_the_device_and_large_ones_stay(toy, monkeypatch):
    x = toy.train.x
    assert near(x, META).device == META
    monkeypatch.setattr(gathering, "HOST", x.numel())
    assert near(x, META) is x
    there = at_hand(toy.train, META)
    assert there.x is x and there.y.device == META


def test_a_batch_is_read_from_where_the_set_lies(toy, monkeypatch):
    members = torch.tensor([5, 3, 3])
    right = toy.train[members]
    for limit in (2**28, 1):
        monkeypatch.setattr(gathering, "HOST", limit)
        soft = torch.randn(len(toy.train), 2, generator=torch.Generator().manual_seed(0))
        whole = replace(toy.train, soft=soft, temperature=2.0, regression=-soft)
        batch = batch_of(at_hand(whole, CPU), members)
        assert torch.equal(batch.regression, -soft[members])
        assert torch.equal(batch.x, right.x) and torch.equal(batch.y, right.y)
        assert torch.equal(batch.soft, soft[members]) and batch.temperature == 2.0


def test_no_more_than_the_batch_of_a_large_set_is_read(toy, monkeypatch):
    monkeypatch.setattr(gathering, "HOST", 1)
    whole = Guarded.of(toy.train.x, 3)
    members = torch.tensor([7, 0, 9])
    assert torch.equal(gathered(near(whole, META), members, CPU), toy.train.x[members])


def test_texts_move_to_the_device(review_task):
    x = near(review_task.train.x, CPU)
    assert gathered(x, torch.tensor([2]), CPU).sequence(0).equal(review_task.train.x.sequence(2))


def test_steps_bring_only_the_members_that_they_use(toy):
    x, rows = toy.train.x, torch.tensor([[9, 2], [2, 4]])
    assert used(x, toy.train.y, rows)[0] is x
    few, y, within = used(x, toy.train.y.to(META), rows)
    assert few.shape == (3, *x.shape[1:]) and few.device == y.device == within.device == META
