"""The evaluation: fresh networks, several seeds, trained on a set, tested once on the real test set."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ddcore.data import Examples, Task
from ddcore.errors import DDCoreError
from ddcore.nets import Embedding, build_net, net_name
from ddcore.runtime import Checkpoints, JSONObject, Schema, Session, read_object, shifted, write_json
from ddcore.training.loop import Relabelled, Setting, Trained, predict, train
from ddcore.training.recipes import AnyRecipe
from ddcore.unroll import Flat, Schedule, Step, micro_batch

CELL: Schema = {"accuracy": float, "log_loss?": float, "seconds": float, "confusion": [[int]]}
"""The shape of the file of a finished cell."""
MOST = 10**9
ACCURACY, BALANCED = "accuracy", "balanced_accuracy"
MEASURES = (ACCURACY, BALANCED, "log_loss")
"""What is measured of every network. Balanced accuracy is the mean recall of the classes, log-loss is in nats."""
SCHEDULE_MEASURES = ("before", "turned_before", "turned", "others_lose")
"""What a cell that follows a schedule may measure besides its accuracy."""


@dataclass(frozen=True)
class Cell:
    """One network to train and test.

    Attributes:
        examples: the training members.
        net: the name it is reported under; ``default`` is the task's own network.
        recipe: how it is trained.
        seed: of its weights and draws.
        name: unique within the run; the file that keeps the result.
        schedule: trains the network step by step, in place of the recipe.
        start_weights: ``(P,)``, trained weights to begin with, if the schedule needs them.
        embedding: word vectors that the network holds, if the members are written in them.
        members: ``(K,)`` int64, the examples that the recipe trains on; None for all.
        labels: of the examples in each epoch, in place of their own; see `Setting`.
    """

    examples: Examples
    net: str
    recipe: AnyRecipe
    seed: int
    name: str
    schedule: Schedule | None = None
    start_weights: Tensor | None = None
    embedding: Embedding | None = None
    members: Tensor | None = None
    labels: Relabelled | None = None

    @property
    def steps(self) -> int:
        """Optimiser steps of the training."""
        return self.recipe.steps if self.schedule is None else len(self.schedule.rates)


Keep = Callable[[Cell, nn.Module], None]


def evaluate(
    cells: Sequence[Cell], task: Task, test: Examples, session: Session, keep: Keep | None = None
) -> dict[str, JSONObject]:
    """Train and test every cell and return the scores by network.

    The processes share the cells. The result of a finished cell lies in ``cells/`` and is never computed twice; an
    interrupted cell resumes from its last checkpoint.

    Args:
        cells: what to train.
        task: the data set.
        test: its test members.
        session: the run folder, the processes and the progress.
        keep: called with each trained network before its result is written, to store parts of it.

    Returns:
        ``{net: {"net", "accuracy": {"mean", "std", "n", "values"}, "seconds", "confusion"}}``; accuracies are
        fractions, ``std`` is the sample's (0 for one value), seconds are the mean training time of a network,
        ``confusion`` counts (true, predicted) over all its cells. ``balanced_accuracy`` and ``log_loss`` are like
        ``accuracy``; ``recall`` is that of each class by name, None for a class without test members. Networks that
        were trained before also have ``before``, like ``accuracy``; poisoned ones ``turned_before``, ``turned`` and
        ``others_lose``, fractions, each with its mean, std, n and values. Empty except on the main process.

    Raises:
        DDCoreError: a training diverged, or a result cannot be written.
    """
    mine = [cells[k] for k in session.exchange.mine(len(cells))]
    done, total = 0, sum(cell.steps for cell in mine)
    for cell in mine:
        path = session.folder / "cells" / f"{cell.name}.json"
        if not path.exists():
            shown = replace(session, progress=shifted(session.progress, done, total))
            write_json(path, run_cell(cell, task, test, shown, keep))
            Checkpoints(path.with_suffix(".safetensors"), "").forget()
        done += cell.steps
    session.wait()
    if not session.main:
        return {}
    results = [(cell, read_object(session.folder / "cells" / f"{cell.name}.json", CELL)) for cell in cells]
    return {
        net: summary(net, task, [result for cell, result in results if cell.net == net])
        for net in dict.fromkeys(cell.net for cell in cells)
    }


def run_cell(cell: Cell, task: Task, test: Examples, session: Session, keep: Keep | None = None) -> JSONObject:
    """Train and test one network: ``{"accuracy", "seconds", "confusion", "steps", "loss"}`` and what else changed."""
    net, before = build_net(cell.net, task, cell.seed), test.y
    measures: dict[str, float] = {}
    if cell.embedding is not None:
        cell.embedding.adopt(net)
    if cell.schedule is None:
        checkpoint = session.folder / "cells" / f"{cell.name}.safetensors"
        setting = Setting(cell.seed, session.device, session.progress, checkpoint, cell.members, cell.labels)
        trained = train(net, task, cell.examples, cell.recipe, setting)
        if keep is not None:
            keep(cell, net)
    else:
        if cell.start_weights is not None:
            before = predict(Flat(net).load(cell.start_weights), task, test.x, device=session.device).argmax(1)
            measures["before"] = float((before == test.y).double().mean())
        trained = follow(net, task, cell.examples, cell.schedule, cell.start_weights, session.device)
        session.report(cell.steps, cell.steps)
    logits = predict(net, task, test.x, device=session.device)
    predicted = logits.argmax(1)
    if cell.schedule is not None and cell.schedule.poison is not None:
        measures |= poisoned(test.y, before, predicted, cell.schedule.poison)
    return {
        "accuracy": float((predicted == test.y).double().mean()),
        "log_loss": log_loss(logits, test.y),
        "seconds": round(trained.seconds, 3),
        "steps": trained.steps,
        "loss": trained.loss,
        "confusion": confusion(test.y, predicted, len(task.classes)).tolist(),
        **measures,
    }


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
            "the set was made for another network or for images of another size (--protocol ddcore trains fresh ones)"
        )
    theta = flat.start() if begin is None else begin.to(device)
    examples = examples.to(device)
    y = examples.targets(len(task.classes))
    step = Step(flat, micro=micro_batch(flat.device, task.shape))
    flat.load(schedule.follow(step, task.inputs(examples.x), y, theta))
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


def confusion(y: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """Count pairs of true and predicted class: ``(C, C)`` int64, rows are the true class."""
    return torch.bincount(y * classes + predicted, minlength=classes**2).view(classes, classes)


def log_loss(logits: Tensor, y: Tensor) -> float:
    """Return the mean of -log p of the true class, in nats; p is at least 1e-15, as in scikit-learn.

    Args:
        logits: ``(N, C)`` float32.
        y: ``(N,)`` int64.
    """
    probability = logits.double().softmax(1).gather(1, y[:, None]).nan_to_num(0.0)
    return float(-probability.clamp_min(1e-15).log().mean())


def recalls(counts: list[list[int]]) -> list[float | None]:
    """Return the recall of each class of a confusion matrix; None for a class without members."""
    return [row[true] / sum(row) if sum(row) else None for true, row in enumerate(counts)]


def balanced_accuracy(counts: list[list[int]]) -> float:
    """Return the mean recall of the classes that have members in a confusion matrix."""
    return statistics.fmean(recall for recall in recalls(counts) if recall is not None)


def headline(y: Tensor, classes: int) -> str:
    """Return the measure that stands for a score: the accuracy, or the balanced one where classes differ much.

    Args:
        y: ``(N,)`` int64, the test classes.
        classes: their number.
    """
    counts = torch.bincount(y, minlength=classes)
    return BALANCED if counts.max() > 2 * counts.min() else ACCURACY


def summary(net: str, task: Task, results: list[JSONObject]) -> JSONObject:
    """Put the results of one network's cells together, as `evaluate` returns them."""
    results = [{**result, BALANCED: balanced_accuracy(result["confusion"])} for result in results]
    counts = torch.tensor([result["confusion"] for result in results]).sum(0).tolist()
    return {
        "net": net_name(net, task),
        # A cell that an earlier version finished has no log-loss.
        **{
            name: spread_of([result[name] for result in results])
            for name in (*MEASURES, *SCHEDULE_MEASURES)
            if all(name in result for result in results)
        },
        "recall": dict(zip(task.classes, recalls(counts), strict=True)),
        "seconds": round(statistics.fmean(result["seconds"] for result in results), 3),
        "confusion": counts,
    }


def spread_of(values: list[float]) -> JSONObject:
    """Return mean, sample standard deviation (0 for one value), number and the values themselves."""
    return {
        "mean": statistics.fmean(values),
        "std": statistics.stdev(values) if len(values) > 1 else 0.0,
        "n": len(values),
        "values": values,
    }
