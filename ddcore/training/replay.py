"""Training a network along the schedule of a set, step by step, and measuring the effect."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddcore.data import Examples, Task
from ddcore.errors import DDCoreError, UsageError
from ddcore.sets import DistilledSet
from ddcore.unroll import Flat, Schedule, Step

MICRO = 50


def shared_schedule(sets: Sequence[DistilledSet]) -> Schedule | None:
    """Return the schedule of the first of several pooled sets, which stands for all; None without any.

    Raises:
        UsageError: the sets were optimised for trainings of different kinds.
    """
    schedules = [each.schedule for each in sets]
    kinds = [None if each is None else (each.record(), len(each.rates)) for each in schedules]
    if any(kind != kinds[0] for kind in kinds):
        raise UsageError(
            "the pooled sets were made for trainings of different kinds: evaluate them one by one, or all of them with "
            "--recipe default"
        )
    return sets[0].schedule


def follow(
    net: nn.Module,
    task: Task,
    examples: Examples,
    schedule: Schedule,
    start_weights: Tensor | None,
    device: torch.device,
) -> nn.Module:
    """Train a network in place along a schedule and return it.

    Args:
        net: of the schedule's kind; a ``random`` schedule begins with its present weights.
        task: says how to read the members.
        examples: the set.
        schedule: the steps.
        start_weights: ``(P,)``, weights to begin with in place of the network's own.
        device: where to train.

    Raises:
        DDCoreError: the weights to begin with are not this network's.
    """
    net.to(device)
    flat = Flat(net)
    begin = schedule.weights if start_weights is None else start_weights
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


def poisoned(y: Tensor, before: Tensor, after: Tensor, pair: tuple[int, int]) -> dict[str, float]:
    """Return the effect of a poisoned set on a network.

    Args:
        y: ``(N,)`` int64, the true classes.
        before, after: ``(N,)`` int64, the classes that the network predicted before and after training on the set.
        pair: the attacked class, and the class that the network shall predict instead.

    Returns:
        ``turned_before`` and ``turned``, the shares of the attacked class that the network takes for the other one,
        and ``others_lose``, by how much the accuracy on all other classes falls; all fractions.
    """
    a, b = pair
    attacked, others = y == a, y != a

    def share(hit: Tensor) -> float:
        return float(hit.double().mean())

    return {
        "turned_before": share(before[attacked] == b),
        "turned": share(after[attacked] == b),
        "others_lose": share(before[others] == y[others]) - share(after[others] == y[others]),
    }
