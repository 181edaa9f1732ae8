"""The training loop of baselines, teachers and evaluations."""

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from ddcore.data import Examples, Inputs, Task, Tokens, at_hand
from ddcore.draws import batches
from ddcore.errors import DDCoreError, require
from ddcore.runtime import (
    Checkpoints,
    JSONObject,
    Progress,
    State,
    answer,
    asked,
    autocast,
    collected,
    deferred,
    packed,
    tensors_digest,
    under,
)
from ddcore.training.optimisers import build_optimiser, load_moments, moments
from ddcore.training.published_recipe import PublishedCourse, PublishedRecipe
from ddcore.training.recipes import AnyRecipe, Recipe, epoch_steps, recorded, without_changes
from ddcore.training.recorded_step import stepper
from ddcore.training.step import Course, memory_format

REPORT_STEPS = 20
BATCH, PIXELS = 1000, 3 * 32 * 32
"""Members that a network is asked about at a time, and the numbers of an image from which on there are fewer."""


class Feed(Protocol):
    """The batches of one training, already changed and labelled."""

    def batch(self, epoch: int, members: Tensor) -> Examples:
        """Return some members ``(n,)`` int64, on the CPU, as they are in an epoch: on the device."""


class Relabelled(Protocol):
    """Changes and labels that differ from epoch to epoch."""

    def feed(self, task: Task, examples: Examples, seed: int, epochs: int) -> Feed:
        """Return the batches of one training, of examples from `at_hand`."""

    def record(self) -> JSONObject:
        """Return what decides them, as JSON values."""


@dataclass
class Trained:
    """A trained network.

    Attributes:
        net: the network, trained in place, on the device.
        seconds: wall time of the training, over all its parts if it was interrupted.
        steps: optimiser steps; 0 for a network that solves for its weights.
        loss: running mean of the last steps' losses; None for a network that solves for its weights.
    """

    net: nn.Module
    seconds: float
    steps: int
    loss: float | None


@dataclass(frozen=True)
class Setting:
    """Where, with which draws and on which members a network is trained.

    Attributes:
        seed: of the order of members and of their changes.
        device: where to train.
        progress: called every few steps with the steps done, the steps in all, and the running mean loss.
        checkpoint: a file for the state. If it is there, the training resumes from it and ends, on a CPU, with the
            same bits as one that was never interrupted.
        members: ``(K,)`` int64, which of the examples to train on; None for all. Others are never read, so that a part
            of a large set needs no copy.
        labels: changes and labels of the examples in each epoch, in place of the recipe's changes and of their own
            labels; None for these.
    """

    seed: int
    device: torch.device | str
    progress: Progress | None = None
    checkpoint: Path | None = None
    members: Tensor | None = None
    labels: Relabelled | None = None


def train(net: nn.Module, task: Task, examples: Examples, recipe: AnyRecipe, setting: Setting) -> Trained:
    """Train a network in place.

    Hard labels are learned by cross-entropy, soft ones by ``T² CE(softmax(soft / T), softmax(logits / T))``
    (Hinton et al. 2015). Every draw is keyed by the seed and the step.

    Args:
        net: gives ``(N, C)`` logits for ``task.inputs(x)``; or one with ``solve(examples, recipe)``, which is called
            instead.
        task: says how to read the members.
        examples: what to train on.
        recipe: how.
        setting: where, with which draws, and on which of the examples.

    Raises:
        DDCoreError: the loss is not finite, or the checkpoint is damaged, belongs to another training or cannot be
            written.
        Stopped: with a checkpoint, the training was asked to stop and has kept its state.
    """
    begun, done = time.monotonic(), 0
    seed, device, progress, chosen = setting.seed, setting.device, setting.progress, setting.members
    net.to(device).train()
    inputs = "" if setting.checkpoint is None else examples.digest
    if inputs and chosen is not None:
        inputs += f", members {tensors_digest([chosen])}"
    solve = getattr(net, "solve", None)
    if solve is not None:
        solve((examples if chosen is None else examples[chosen]).to(device), recipe)
        return Trained(net, time.monotonic() - begun, 0, None)
    assert isinstance(recipe, Recipe | PublishedRecipe)
    examples = at_hand(examples, device)
    count = len(examples) if chosen is None else len(chosen)
    net.to(memory_format=memory_format(net))
    course = _course(net, task, examples, recipe if setting.labels is None else without_changes(recipe), seed)
    optimiser = course.optimiser
    mean_loss = torch.zeros((), device=device)
    told = [] if setting.labels is None else [setting.labels.record()]
    label = json.dumps([recorded(recipe), seed, count, type(net).__name__, *told])
    checkpoints = Checkpoints(setting.checkpoint, label, inputs=inputs) if setting.checkpoint else None

    def put(state: State) -> None:
        nonlocal done, begun
        net.load_state_dict(under("net", state))
        load_moments(optimiser, under("optimiser", state))
        mean_loss.copy_(state["loss"])
        step, seconds = state["progress"].tolist()
        done, begun = int(step), begun - seconds

    if checkpoints:
        checkpoints.restore(put)
    take = _taking(course, setting, epoch_steps(recipe, count))
    with deferred() if checkpoints else nullcontext():
        steps = range(done, recipe.steps)
        for step, order in zip(steps, _orders(recipe, count, steps, seed), strict=True):
            loss = take(step, order if chosen is None else chosen[order])
            mean_loss.lerp_(loss, 1.0 if step == 0 else 0.05)
            done = step + 1
            if done % REPORT_STEPS == 0 or done == recipe.steps:
                shown = mean_loss.item()
                require(
                    math.isfinite(shown),
                    f"the training loss is {shown} after step {done} of {recipe.steps}: "
                    f"lower the learning rate (lr {recipe.lr}) or look for damaged members",
                    DDCoreError,
                )
                if progress is not None:
                    progress(done, recipe.steps, {"loss": shown})
            if checkpoints and (asked() or (done < recipe.steps and checkpoints.due(done))):
                place = torch.tensor([done, time.monotonic() - begun], dtype=torch.float64)
                parts = packed({"net": net.state_dict(), "optimiser": moments(optimiser)})
                checkpoints.keep(done, {**parts, "loss": mean_loss, "progress": place})
                answer()
    # The memory of a CUDA graph is freed with the last gradient in it.
    optimiser.zero_grad()
    return Trained(net, time.monotonic() - begun, recipe.steps, mean_loss.item())


def _taking(course: Course | PublishedCourse, setting: Setting, each: int) -> Callable[[int, Tensor], Tensor]:
    """Return what takes a step with some members; an epoch has `each` steps."""
    if setting.labels is None:
        return stepper(course) if isinstance(course, Course) else course.take
    assert setting.members is None
    epochs = -(-course.recipe.steps // each)
    feed = setting.labels.feed(course.task, course.examples, setting.seed, epochs)
    return lambda step, members: course.learn(step, feed.batch(step // each, members))


def _course(net: nn.Module, task: Task, examples: Examples, recipe: AnyRecipe, seed: int) -> Course | PublishedCourse:
    if isinstance(recipe, PublishedRecipe):
        return PublishedCourse(net, task, examples, recipe, recipe.build_optimiser(net), seed)
    assert isinstance(recipe, Recipe)
    return Course(net, task, examples, recipe, build_optimiser(net, recipe), seed)


def _orders(recipe: Recipe | PublishedRecipe, count: int, steps: range, seed: int) -> Iterator[Tensor]:
    if isinstance(recipe, PublishedRecipe):
        return recipe.orders(count, steps, seed)
    return batches(count, recipe.batch_size, steps, seed, "order")


def validated(net: nn.Module, task: Task, examples: Examples, recipe: AnyRecipe, setting: Setting) -> float:
    """Return the accuracy, a fraction, on the task's validation split, of a network that is trained first.

    The arguments are those of `train`.
    """
    train(net, task, examples, recipe, setting)
    return validation_accuracy(net, task, setting.device)


def validation_accuracy(net: nn.Module, task: Task, device: torch.device | str) -> float:
    """Return the accuracy, a fraction, of a trained network on the task's validation split."""
    held, y = task.validation, task.train.y[task.validation]
    right = [
        logits.argmax(1) == y[rows] for rows, logits in answers(net, task, task.train.x, device=device, members=held)
    ]
    return float(torch.cat(right).double().mean())


def predict(net: nn.Module, task: Task, x: Inputs, *, device: torch.device | str) -> Tensor:
    """Return a network's logits in evaluation mode: ``(N, C)`` float32 on the CPU."""
    return collected((logits for _, logits in answers(net, task, x, device=device)), len(x))


def features(
    net: nn.Module, task: Task, x: Inputs, *, device: torch.device | str, members: Tensor | None = None
) -> Tensor:
    """Return a network's last hidden layer, flattened: ``(N, D)`` float32 on the CPU; see `answers`."""
    parts = (part for _, part in answers(net, task, x, device=device, members=members, method="features"))
    return collected(parts, len(x) if members is None else len(members))


def fewer(size: int, task: Task) -> int:
    """Return the members of a batch: as many as given for images of up to `PIXELS` numbers, fewer of larger ones."""
    return max(1, size * PIXELS // max(PIXELS, math.prod(task.shape)))


@torch.no_grad()
def answers(
    net: nn.Module,
    task: Task,
    x: Inputs,
    *,
    device: torch.device | str,
    members: Tensor | None = None,
    method: str = "",
) -> Iterator[tuple[slice, Tensor]]:
    """Give what a network says in evaluation mode, batch by batch, so that no answer but the batch's is held.

    Args:
        net: gives ``(N, C)`` logits.
        task: says how to read the members.
        x: of which only the batches are copied to the device.
        device: where to compute.
        members: ``(K,)`` int64, which of `x` to ask about; None for all.
        method: of the network, such as ``features``, which gives ``(N, ...)``; empty for its logits.

    Yields:
        The batch's places among the members, and its answers, float32 on the CPU, ``(n, C)`` or flattened ``(n, D)``.
    """
    net.to(device).eval()
    function = getattr(net, method) if method else net
    size = fewer(BATCH, task)
    count = len(x) if members is None else len(members)
    for begin in range(0, count, size):
        rows = slice(begin, min(begin + size, count))
        places = torch.arange(rows.start, rows.stop) if members is None else members[rows]
        part = x[places.to(x.device)].to(device)
        if not isinstance(part, Tokens):
            part = task.inputs(part).contiguous(memory_format=memory_format(net))
        elif not getattr(net, "reads_tokens", False):
            part = task.inputs(part)
        with autocast(device):
            outputs = function(part)
        yield rows, outputs.flatten(1).float().cpu()
