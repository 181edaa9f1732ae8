"""The one protocol: fresh networks, several seeds, trained on a set, tested once on the real test set."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ddcore.data import Examples, Task
from ddcore.nets import Embedding, build_net, net_name
from ddcore.runtime import Checkpoints, Progress, read_json, shifted, write_json
from ddcore.training.loop import predict, train
from ddcore.training.recipes import AnyRecipe
from ddcore.training.replay import follow, poisoned
from ddcore.unroll import Flat, Schedule

if TYPE_CHECKING:
    from accelerate import Accelerator

# What a cell that follows a schedule may tell besides its accuracy.
MORE = ("before", "turned_before", "turned", "others_lose")


@dataclass(frozen=True)
class Cell:
    """One network to train and test.

    Attributes:
        examples: what it is trained on.
        net: the name it is reported under; ``default`` is the task's own network.
        recipe: how it is trained.
        seed: of its weights and draws.
        name: unique within the run; the file that keeps the result.
        schedule: trains the network step by step, in place of the recipe.
        given: ``(P,)``, trained weights to begin with, where the schedule wants them.
        embedding: word vectors that the network holds, where the members are written in them.
    """

    examples: Examples
    net: str
    recipe: AnyRecipe
    seed: int
    name: str
    schedule: Schedule | None = None
    given: Tensor | None = None
    embedding: Embedding | None = None

    @property
    def steps(self) -> int:
        """Optimiser steps of the training."""
        return self.recipe.steps if self.schedule is None else len(self.schedule.rates)


Keep = Callable[[Cell, nn.Module], None]


def evaluate(
    cells: Sequence[Cell],
    task: Task,
    test: Examples,
    folder: Path,
    accelerator: "Accelerator",
    progress: Progress | None = None,
    keep: Keep | None = None,
) -> dict[str, Any]:
    """Train and test every cell and return the scores by network.

    The cells are shared out over the accelerator's processes. A finished cell is kept in ``cells/`` and never
    computed twice; an interrupted one goes on from its last checkpoint.

    Args:
        cells: what to train.
        task: the data set.
        test: its test members.
        folder: the run folder.
        accelerator: gives the device and the processes.
        progress: called with steps done, steps in all, and values to show.
        keep: called with each trained network before its result is written, to store what is wanted of it.

    Returns:
        ``{net: {"net", "accuracy": {"mean", "std", "n", "values"}, "seconds", "confusion"}}``; accuracies are
        fractions, ``std`` is the sample's (0 for one value), seconds are the mean training time of a network,
        ``confusion`` counts (true, predicted) over all its cells. Networks that were trained before also have
        ``before``, like ``accuracy``; poisoned ones ``turned_before``, ``turned`` and ``others_lose``, fractions, each
        with its mean, std, n and values. Empty except on the main process.

    Raises:
        DDCoreError: a training diverged, or a result cannot be written.
    """
    mine = list(cells)[accelerator.process_index :: accelerator.num_processes]
    total = sum(cell.steps for cell in mine)
    done = 0
    for cell in mine:
        path = folder / "cells" / f"{cell.name}.json"
        if not path.exists():
            shown = shifted(progress, done, total)
            write_json(path, run_cell(cell, task, test, folder, accelerator.device, shown, keep))
            Checkpoints(folder / "cells" / f"{cell.name}.safetensors", "").forget()
        done += cell.steps
    accelerator.wait_for_everyone()
    if not accelerator.is_main_process:
        return {}
    results = [(cell, read_json(folder / "cells" / f"{cell.name}.json")) for cell in cells]
    nets = dict.fromkeys(cell.net for cell in cells)
    return {net: summary(net, task, [result for cell, result in results if cell.net == net]) for net in nets}


def run_cell(
    cell: Cell,
    task: Task,
    test: Examples,
    folder: Path,
    device: torch.device,
    progress: Progress | None = None,
    keep: Keep | None = None,
) -> dict[str, Any]:
    """Train and test one network: ``{"accuracy", "seconds", "confusion", "steps", "loss"}``."""
    net = build_net(cell.net, task, cell.seed)
    if cell.embedding is not None:
        cell.embedding.adopt(net)
    if cell.schedule is not None:
        followed = _followed(cell, cell.schedule, net, task, test, device)
        if progress is not None:
            progress(cell.steps, cell.steps, {})
        return followed
    checkpoint = folder / "cells" / f"{cell.name}.safetensors"
    trained = train(
        net, task, cell.examples, cell.recipe, seed=cell.seed, device=device, progress=progress, checkpoint=checkpoint
    )
    if keep is not None:
        keep(cell, trained.net)
    predicted = predict(trained.net, task, test.x, device=device).argmax(1)
    return _result(task, test.y, predicted, trained.seconds, trained.steps, trained.loss)


def _followed(
    cell: Cell, schedule: Schedule, net: nn.Module, task: Task, test: Examples, device: torch.device
) -> dict[str, Any]:
    """Train a network along a schedule, and test it."""
    more: dict[str, Any] = {}
    seen = test.y
    if cell.given is not None:
        seen = predict(Flat(net).load(cell.given), task, test.x, device=device).argmax(1)
        more["before"] = float((seen == test.y).double().mean())
    begun = time.monotonic()
    follow(net, task, cell.examples, schedule, cell.given, device)
    seconds = time.monotonic() - begun
    predicted = predict(net, task, test.x, device=device).argmax(1)
    if schedule.poison is not None:
        more |= poisoned(test.y, seen, predicted, schedule.poison)
    return {**_result(task, test.y, predicted, seconds, len(schedule.rates), None), **more}


def _result(task: Task, y: Tensor, predicted: Tensor, seconds: float, steps: int, loss: float | None) -> dict[str, Any]:
    return {
        "accuracy": float((predicted == y).double().mean()),
        "seconds": round(seconds, 3),
        "steps": steps,
        "loss": loss,
        "confusion": confusion(y, predicted, len(task.classes)).tolist(),
    }


def confusion(y: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """Count pairs of true and predicted class: ``(C, C)`` int64, rows are the true class."""
    return torch.bincount(y * classes + predicted, minlength=classes**2).view(classes, classes)


def summary(net: str, task: Task, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Put the results of one network's cells together, as `evaluate` returns them."""
    counts = torch.tensor([result["confusion"] for result in results]).sum(0)
    measured = [name for name in ("accuracy", *MORE) if name in results[0]]
    return {
        "net": net_name(net, task),
        **{name: spread_of([result[name] for result in results]) for name in measured},
        "seconds": round(statistics.fmean(result["seconds"] for result in results), 3),
        "confusion": counts.tolist(),
    }


def spread_of(values: list[float]) -> dict[str, Any]:
    """Return mean, sample standard deviation (0 for one value), number and the values themselves."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "std": deviation, "n": len(values), "values": values}
