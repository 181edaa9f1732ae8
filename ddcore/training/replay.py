"""Training a network the way a set says, step by step, and what that does to it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddcore.data import Examples, Task
from ddcore.errors import DDCoreError, UsageError
from ddcore.sets import DistilledSet
from ddcore.unroll import Flat, Schedule, Step

MICRO = 50


def shared_schedule(sets: Sequence[DistilledSet]) -> Schedule | None:
    """Return the schedule of the first of several pooled sets, for all that is the same in each; None without any.

    Raises:
        UsageError: the sets were made for trainings of different kinds.
    """
    kinds = [None if made.schedule is None else (made.schedule.record(), len(made.schedule.rates)) for made in sets]
    if any(kind != kinds[0] for kind in kinds):
        raise UsageError(
            "the pooled sets were made for trainings of different kinds: evaluate them one by one, or all of them with "
            "--recipe default"
        )
    return sets[0].schedule


def follow(
    net: nn.Module, task: Task, examples: Examples, schedule: Schedule, given: Tensor | None, device: torch.device
) -> nn.Module:
    """Train a network in place along a schedule and return it.

    Args:
        net: of the schedule's kind; its present weights are where a ``random`` schedule begins.
        task: says how to read the members.
        examples: the set.
        schedule: the steps.
        given: ``(P,)``, weights to begin with in place of the network's own.
        device: where to train.

    Raises:
        DDCoreError: the weights to begin with are not this network's.
    """
    net.to(device)
    flat = Flat(net)
    begin = schedule.weights if given is None else given
    if begin is not None and len(begin) != flat.size:
        raise DDCoreError(
            f"the weights to begin with are {len(begin):,} numbers, {schedule.net} on {task.name} has {flat.size:,}: "
            "the set was made for another network or for images of another size (--recipe default trains fresh ones)"
        )
    theta = flat.start() if begin is None else begin.to(device)
    examples = examples.to(device)
    x = task.inputs(examples.x)
    step = Step(flat, micro=MICRO)
    return flat.load(schedule.follow(step, x, targets(examples, len(task.classes)), theta))


def targets(examples: Examples, classes: int) -> Tensor:
    """Return label probabilities ``(N, C)`` float32 of examples with hard or soft labels."""
    if examples.soft is not None:
        return torch.softmax(examples.soft / examples.temperature, 1)
    return F.one_hot(examples.y, classes).float()


def poisoned(y: Tensor, before: Tensor, after: Tensor, pair: tuple[int, int]) -> dict[str, Any]:
    """Return what a poisoned set did to a network.

    Args:
        y: ``(N,)`` int64, the true classes.
        before, after: ``(N,)`` int64, the classes that the network saw before and after training on the set.
        pair: the class that was to be mistaken, and the class for which.

    Returns:
        ``turned_before`` and ``turned``, the shares of the first class that are taken for the second, and
        ``others_lose``, by how much the accuracy on all other classes falls; all fractions.
    """
    a, b = pair
    mine, others = y == a, y != a

    def share(hit: Tensor) -> float:
        return float(hit.double().mean())

    return {
        "turned_before": share(before[mine] == b),
        "turned": share(after[mine] == b),
        "others_lose": share(before[others] == y[others]) - share(after[others] == y[others]),
    }
