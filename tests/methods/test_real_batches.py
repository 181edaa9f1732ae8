from dataclasses import replace

import torch
from toys import problem

from ddcore.data.siamese import STRATEGIES
from ddcore.methods.real_batches import RealBatches


def test_real_members_come_from_outside_the_validation_part_and_from_their_class(toy):
    marked = toy.train.x.clone()
    marked[toy.validation] = 255
    task = replace(toy, train=replace(toy.train, x=marked))
    batches = RealBatches(problem(task, 4), 40, ())
    white, seen = task.inputs(marked[toy.validation[:1]]), torch.zeros(len(toy.train), dtype=torch.bool)
    nothing = torch.zeros(0, 1, 8, 8), torch.zeros(0, dtype=torch.int64)
    for pair in [pair for step in range(5) for pair in batches.pairs(*nothing, (0, 1), step, 0)]:
        assert len(pair.real) == 40
        assert not (pair.real == white).all(), "no validation member is drawn"
        assert not (pair.real == white).flatten(1).all(1).any()
        rows = (pair.real[:, None] == task.inputs(marked)[None]).flatten(2).all(2)
        assert rows.any(1).all() and (task.train.y[rows.nonzero()[:, 1]] == pair.real_y[0]).all()
        seen |= rows.any(0)
    assert seen.sum() > 80, "400 draws of 108 members meet nearly all of them"


def test_a_class_with_fewer_members_than_a_batch_gives_each_once(toy):
    batches = RealBatches(problem(toy, 4), 1000, ())
    nothing = torch.zeros(0, 1, 8, 8), torch.zeros(0, dtype=torch.int64)
    for k, pair in enumerate(batches.pairs(*nothing, (0, 1), 0, 0)):
        own = toy.fit[toy.train.y[toy.fit] == k]
        assert torch.equal(pair.real, toy.inputs(toy.train.x[own])) and (pair.real_y == k).all()
    assert batches.count((0, 1)) == len(toy.fit)


def test_real_and_synthetic_members_are_changed_alike(toy):
    asked = problem(toy, 4)
    plain, changing = RealBatches(asked, 5, ()), RealBatches(asked, 5, STRATEGIES)
    changed = 0
    nothing = torch.zeros(0, 1, 8, 8), torch.zeros(0, dtype=torch.int64)
    for step in range(12):
        real = plain.pairs(*nothing, (0, 1), step, 0)
        # Seven synthetic members of each class, the real ones of the step first: their number must not matter.
        x = torch.cat([torch.cat([pair.real, pair.real[:2]]) for pair in real])
        y = torch.arange(2).repeat_interleave(7)
        for before, pair in zip(real, changing.pairs(x, y, (0, 1), step, 0), strict=True):
            assert torch.equal(pair.real, pair.x[:5]) and torch.equal(pair.real[:2], pair.x[5:])
            changed += not torch.equal(pair.real, before.real)
    assert changed > 12
