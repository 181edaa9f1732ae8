"""Tasks of images."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ddcore.data.examples import Examples
from ddcore.data.pictures import levels_of
from ddcore.data.task import Scale, Task, validation_part
from ddcore.errors import require

# Sides that images can be resized to, in pixels; ConvNet halves them three times.
SMALLEST, LARGEST = 8, 512
DIGIT_CLASSES = tuple(str(digit) for digit in range(10))


def image_task(
    name: str,
    classes: tuple[str, ...],
    train: Examples,
    load_test: Callable[[], Examples],
    source: str,
    content: str = "",
) -> Task:
    """Return a `Task` of uint8 images; the normalisation constants are computed from the training images.

    Args:
        name, classes, train, load_test, source, content: see `Task`.
    """
    x = train.x
    assert isinstance(x, Tensor)
    shape = tuple(x.shape[1:])
    counts = (levels_of(x) if train.summary is None else train.summary.levels).double()
    level = torch.arange(256, dtype=torch.float64) / 255
    mean = (counts * level).sum(1) / counts.sum(1)
    std = ((counts * level**2).sum(1) / counts.sum(1) - mean**2).sqrt()
    return Task(
        name=name,
        classes=classes,
        shape=shape,
        train=train,
        load_test=load_test,
        default_net="resnet-s2d",
        scale=Scale(tuple(mean.tolist()), tuple(std.tolist())),
        source=source,
        content=content,
        validation=validation_part(train.y),
    )


def resized(task: Task, side: int) -> Task:
    """Return the task with images of `side` x `side` pixels (bilinear), normalised by constants of their own.

    Raises:
        UsageError: the members are not images, or lie in a mapped file; or `side` is not between `SMALLEST` and
            `LARGEST`.
    """
    require(task.kind == "images", f"{task.name} has no images to resize")
    require(
        task.train.summary is None,
        f"{task.name} is a large set, whose images are scaled on reading: give --dataset its option side={side}",
    )
    require(
        SMALLEST <= side <= LARGEST,
        f"images of {side}x{side} pixels: the side must be between {SMALLEST} and {LARGEST}",
    )

    def scaled(members: Examples) -> Examples:
        assert isinstance(members.x, Tensor)
        # In parts, because floats take four times the memory of pixels.
        parts = [
            F.interpolate(part.float(), (side, side), mode="bilinear", antialias=True).round().clamp(0, 255).byte()
            for part in members.x.split(1000)
        ]
        return Examples(torch.cat(parts), members.y)

    source = f"{task.source}, resized to {side}x{side}"
    whole = image_task(
        task.name, task.classes, scaled(task.train), lambda: scaled(task.load_test()), source, task.content
    )
    return replace(whole, address=task.address)
