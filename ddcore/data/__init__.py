"""The real data sets, by name."""

from collections.abc import Callable
from pathlib import Path

from ddcore.data import images, text
from ddcore.data.task import Task
from ddcore.errors import known

TASKS: dict[str, Callable[[Path], Task]] = {
    "digits": images.digits,
    "mnist": images.mnist,
    "fashion_mnist": images.fashion_mnist,
    "cifar10": images.cifar10,
    "imdb": text.imdb,
}


def load_task(name: str, data: Path) -> Task:
    """Read a data set from the folder `data`, downloading it from its publisher if it isn't there.

    Raises:
        UsageError: no data set has this name.
        DDCoreError: a file is missing and cannot be downloaded, or is damaged.
    """
    return TASKS[known("data set", name, list(TASKS))](data)


__all__ = ["TASKS", "Task", "load_task"]
