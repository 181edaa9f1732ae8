"""The real members that a synthesised set began as, from the set's own record."""

from dataclasses import replace

import torch

from ddcore.data import Task, Tokens
from ddcore.errors import UsageError
from ddcore.sets import DistilledSet
from ddcore.training.teacher import Teacher


def start_of(small: DistilledSet, task: Task, teacher: Teacher | None) -> DistilledSet:
    """Return the real members that a set of images began as, with the teacher's labels, or hard ones without teacher.

    Args:
        small: its provenance holds ``began at``: indices into the training set.
        task: its data.
        teacher: gives its logits for these members, at the set's temperature.

    Raises:
        UsageError: the set's record does not name such members.
    """
    began, train = small.provenance.get("began at"), task.train
    whole = (
        isinstance(began, list) and bool(began) and all(type(each) is int and 0 <= each < len(train) for each in began)
    )
    if not whole or isinstance(train.x, Tokens):
        raise UsageError(
            f"the record of this set by {small.origin.method} names no real images of {task.name} that it began as: "
            "leave --members start out"
        )
    members = torch.tensor(began)
    return replace(
        small,
        x=train.x[members],
        y=train.y[members],
        soft=None if teacher is None else teacher.logits[members],
        temperature=1.0 if teacher is None else small.temperature,
        origin=replace(small.origin, method=f"start of {small.origin.method}"),
        indices=members,
        schedule=None,
        embedding=None,
        ordered=False,
    )
