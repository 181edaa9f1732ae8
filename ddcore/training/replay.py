"""Training a network along the schedule of a set, step by step, and measuring the effect."""

import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ddcore.data import Examples, Task
from ddcore.errors import DDCoreError, UsageError
from ddcore.sets import DistilledSet
from ddcore.training.loop import Trained
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
) -> Trained:
    """Train a network in place along a schedule.

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
    begun = time.monotonic()
    flat = Flat(net.to(device))
    begin = schedule.weights if start_weights is None else start_weights
    if begin is not None and len(begin) != flat.size:
        raise DDCoreError(
            f"the weights to begin with are {len(begin):,} numbers, {schedule.net} on {task.name} has {flat.size:,}: "
            "the set was made for another network or for images of another size (--recipe default trains fresh ones)"
        )
    theta = flat.start() if begin is None else begin.to(device)
    examples = examples.to(device)
    y = examples.targets(len(task.classes))
    flat.load(schedule.follow(Step(flat, micro=MICRO), task.inputs(examples.x), y, theta))
    return Trained(net, time.monotonic() - begun, len(schedule.rates), None)


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
    (turned_before, right_before), (turned, right) = (
        [float((each[attacked] == b).double().mean()), float((each[others] == y[others]).double().mean())]
        for each in (before, after)
    )
    return {"turned_before": turned_before, "turned": turned, "others_lose": right_before - right}
