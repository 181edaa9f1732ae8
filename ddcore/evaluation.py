"""The one protocol: fresh networks, several seeds, trained on a set, tested once on the real test set."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from ddcore.data.task import Task
from ddcore.examples import Examples
from ddcore.nets import build_net, net_name
from ddcore.runs import Progress, read_json, write_json
from ddcore.training import Recipe, predict, train


@dataclass(frozen=True)
class Cell:
    """One network to train and test.

    Attributes:
        examples: what it is trained on.
        net: the name it is reported under; ``default`` is the task's own network.
        recipe: how it is trained.
        seed: of its weights and draws.
        name: unique within the run; the file that keeps the result.
    """

    examples: Examples
    net: str
    recipe: Recipe
    seed: int
    name: str


Keep = Callable[[Cell, nn.Module], None]


def evaluate(
    cells: Sequence[Cell],
    task: Task,
    test: Examples,
    folder: Path,
    accelerator: Accelerator,
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
        ``confusion`` counts (true, predicted) over all its cells. Empty except on the main process.

    Raises:
        DDCoreError: a training diverged, or a result cannot be written.
    """
    mine = list(cells)[accelerator.process_index :: accelerator.num_processes]
    total = sum(cell.recipe.steps for cell in mine)
    done = 0
    for cell in mine:
        path = folder / "cells" / f"{cell.name}.json"
        if not path.exists():
            shown = _shifted(progress, done, total)
            write_json(path, run_cell(cell, task, test, folder, accelerator.device, shown, keep))
            (folder / "cells" / f"{cell.name}.safetensors").unlink(missing_ok=True)
        done += cell.recipe.steps
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
    checkpoint = folder / "cells" / f"{cell.name}.safetensors"
    trained = train(
        net, task, cell.examples, cell.recipe, seed=cell.seed, device=device, progress=progress, checkpoint=checkpoint
    )
    if keep is not None:
        keep(cell, trained.net)
    predicted = predict(trained.net, task, test.x, device=device).argmax(1)
    table = confusion(test.y, predicted, len(task.classes))
    return {
        "accuracy": float((predicted == test.y).double().mean()),
        "seconds": round(trained.seconds, 3),
        "steps": trained.steps,
        "loss": trained.loss,
        "confusion": table.tolist(),
    }


def confusion(y: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """Count pairs of true and predicted class: ``(C, C)`` int64, rows are the true class."""
    return torch.bincount(y * classes + predicted, minlength=classes**2).view(classes, classes)


def summary(net: str, task: Task, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Put the results of one network's cells together, as `evaluate` returns them."""
    values = [result["accuracy"] for result in results]
    counts = torch.tensor([result["confusion"] for result in results]).sum(0)
    return {
        "net": net_name(net, task),
        "accuracy": {
            "mean": statistics.fmean(values),
            "std": statistics.stdev(values) if len(values) > 1 else 0.0,
            "n": len(values),
            "values": values,
        },
        "seconds": round(statistics.fmean(result["seconds"] for result in results), 3),
        "confusion": counts.tolist(),
    }


def recorded(recipes: dict[str, Recipe]) -> dict[str, dict[str, Any]]:
    """Return recipes as JSON values."""
    return {name: asdict(recipe) for name, recipe in recipes.items()}


def _shifted(progress: Progress | None, done: int, total: int) -> Progress | None:
    if progress is None:
        return None
    return lambda step, steps, values: progress(done + step, total, values)
