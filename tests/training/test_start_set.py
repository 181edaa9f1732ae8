"""The members that a set began as come from its own record, not from another choice."""

from dataclasses import replace

import pytest
import torch

from ddcore.errors import UsageError
from ddcore.sets import DistilledSet, Origin
from ddcore.training.start_set import start_of
from ddcore.training.teacher import Teacher

BEGAN = [5, 0, 17]


def synthetic(task, began):
    x = torch.zeros(len(BEGAN), *task.shape)
    origin = Origin.of(task, "frepo", {}, {"began at": began})
    soft = torch.zeros(len(BEGAN), len(task.classes))
    return DistilledSet(
        "images", x, torch.zeros(3, dtype=torch.int64), origin, task.scale, soft, 4.0, recipes={"a": {}}
    )


def test_the_members_are_those_of_the_record_with_the_teachers_labels(toy):
    small = synthetic(toy, BEGAN)
    start = start_of(small, toy, None)
    assert start.indices.tolist() == BEGAN and torch.equal(start.x, toy.train.x[torch.tensor(BEGAN)])
    assert torch.equal(start.y, toy.train.y[torch.tensor(BEGAN)])
    assert start.labels == "hard" and start.temperature == 1 and start.method == "start of frepo"
    assert start.recipes == small.recipes
    logits = torch.arange(len(toy.train) * len(toy.classes)).view(len(toy.train), -1).float()
    start = start_of(small, toy, Teacher(logits, None, "mlp", "teacher"))
    assert torch.equal(start.soft, logits[torch.tensor(BEGAN)]) and start.temperature == 4
    other = start_of(synthetic(toy, [1, 2, 3]), toy, None)
    assert not torch.equal(other.x, start.x)


@pytest.mark.parametrize("began", [None, "noise", [], [-1], [10**9], [True], [0.5], ["0"]])
def test_a_record_without_such_members_is_refused_in_a_line(began, toy):
    small = synthetic(toy, BEGAN)
    small = replace(small, origin=replace(small.origin, provenance={"began at": began}))
    with pytest.raises(UsageError, match="leave --members start out"):
        start_of(small, toy, None)
