"""The real data sets, by name, and the user's own."""

import os
from collections.abc import Callable
from pathlib import Path

from ddcore.data import images, text
from ddcore.data.custom import FORMS, Own, parse
from ddcore.data.folder import folder_task
from ddcore.data.table import table_task
from ddcore.data.task import Task
from ddcore.errors import known

TASKS: dict[str, Callable[[Path], Task]] = {
    "digits": images.digits,
    "mnist": images.mnist,
    "fashion_mnist": images.fashion_mnist,
    "svhn": images.svhn,
    "cifar10": images.cifar10,
    "cifar100": images.cifar100,
    "imdb": text.imdb,
}
OWN: dict[str, Callable[[Own], Task]] = {"images": folder_task, "text": table_task}
NAMES = (*TASKS, *FORMS.values())


def load_task(name: str, data: Path) -> Task:
    """Read a data set from the folder `data`, downloading it from its publisher if it isn't there.

    Args:
        name: one of `TASKS`, or ``images:DIR`` or ``text:FILE`` for a user's own, see `ddcore.data.custom.parse`.
        data: folder of the data sets; not read for a user's own.

    Raises:
        UsageError: no data set has this name, or the user's own cannot be used as it is.
        DDCoreError: a file is missing and cannot be downloaded, or is damaged.
    """
    own = parse(name)
    if own is not None:
        return OWN[own.kind](own)
    known("data set", name, list(NAMES))
    return TASKS[name](data)


__all__ = ["NAMES", "TASKS", "Task", "load_task"]


def data_folder() -> Path:
    """Return the folder of the data sets: $DDCORE_DATA, otherwise ``./data``."""
    return Path(os.environ.get("DDCORE_DATA") or "data")
