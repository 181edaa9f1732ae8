"""What an evaluation will cost, told before it starts: images that pass through networks, operations, time."""

import time
from collections.abc import Sequence

import torch

from ddcore.data import Examples, Task
from ddcore.nets import build_net, operations
from ddcore.runtime import in_time
from ddcore.training.evaluation import Cell
from ddcore.training.loop import Setting, predict, train
from ddcore.training.published_recipe import PublishedRecipe

WARM, TIMED, TESTED = 2, 5, 200
"""Steps before the clock, steps on the clock, and test members on the clock."""
BOTH_WAYS = 3
"""Operations of a training step per image, in those of a network's answer to it."""


def price_line(cells: Sequence[Cell], task: Task, test: Examples, device: torch.device) -> str:
    """Return in one line what networks trained by published recipes will cost; a few steps of each kind are timed.

    Args:
        cells: all of a published recipe.
        task: the data set.
        test: its test members.
        device: where the networks are trained.
    """
    passes = operated = seconds = 0.0
    for net in dict.fromkeys(cell.net for cell in cells):
        mine = [cell for cell in cells if cell.net == net]
        recipe = mine[0].recipe
        assert isinstance(recipe, PublishedRecipe)
        images = sum(_images(recipe, len(cell.examples)) for cell in mine)
        passes += images
        operated += operations(net, task) * (BOTH_WAYS * images + len(mine) * len(test))
        step, answer = _timed(mine[0], task, test, device)
        seconds += len(mine) * (step * recipe.steps + answer * len(test))
    return (
        f"{len(cells)} network{'s' * (len(cells) > 1)}, {passes:,.0f} images to train on and "
        f"{len(cells) * len(test):,} to test on, {operated / 1e12:,.1f} TFLOP, about {in_time(seconds)} on one process"
    )


def _images(recipe: PublishedRecipe, members: int) -> float:
    """Return how many images the steps of a recipe train on."""
    size = min(recipe.batch_size, members)
    if recipe.batches == "epochs":
        return recipe.steps / -(-members // size) * members
    return float(recipe.steps * size)


def _timed(cell: Cell, task: Task, test: Examples, device: torch.device) -> tuple[float, float]:
    """Return the seconds of a training step and of the answer to a test member."""
    net, recipe = build_net(cell.net, task, cell.seed), cell.recipe
    assert isinstance(recipe, PublishedRecipe)
    setting = Setting(cell.seed, device, labels=cell.labels)
    train(net, task, cell.examples, recipe.shortened(WARM), setting)
    seconds = train(net, task, cell.examples, recipe.shortened(TIMED), setting).seconds
    members = test[torch.arange(min(TESTED, len(test)))]
    begun = time.monotonic()
    predict(net, task, members.x, device=device)
    return seconds / min(TIMED, recipe.steps), (time.monotonic() - begun) / len(members)
