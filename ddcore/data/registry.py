"""The real data sets, by name, and the user's own."""

import os
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from ddcore.data.custom import FORMS, Content, CustomData, parse
from ddcore.data.data_set import DataSet
from ddcore.data.folder import folder_task, read_folder
from ddcore.data.hugging_face import hugging_face_task, read_hugging_face
from ddcore.data.picture_task import Pictures
from ddcore.data.table import read_table, table_task
from ddcore.data.task import Task
from ddcore.errors import known
from ddcore.runtime import Session

# One line per data set: a module of this package, which holds its row as `DATA_SET`.
MODULES = (
    "digits",
    "mnist",
    "fashion_mnist",
    "svhn",
    "cifar10",
    "cifar100",
    "imdb",
)
DATASETS: dict[str, DataSet] = {name: import_module(f"ddcore.data.{name}").DATA_SET for name in MODULES}
CUSTOM: dict[str, Callable[[CustomData, Session], Task]] = {
    "images": folder_task,
    "text": lambda custom, session: table_task(custom),
    "hf": hugging_face_task,
}
NAMES = (*DATASETS, *FORMS.values())


def read_custom(custom: CustomData) -> Pictures | Content[str]:
    """Return the members of a user's own data set: its pictures, before they are decoded, or its texts.

    Raises:
        UsageError, DDCoreError: as `load_task`.
    """
    readers: dict[str, Callable[[CustomData], Pictures | Content[str]]] = {
        "images": read_folder,
        "text": read_table,
        "hf": read_hugging_face,
    }
    return readers[custom.kind](custom)


def load_task(name: str, data: Path, session: Session = Session()) -> Task:
    """Return a data set as a task, read from the folder `data` and downloaded into it first if it is missing.

    Args:
        name: one of `DATASETS`; or ``images:DIR``, ``text:FILE`` or ``hf:WHERE`` for the user's own, see
            `ddcore.data.custom.parse`.
        data: folder of all data sets; not read for the user's own.
        session: hears how far the reading of a large set is, and where its pixels are kept.

    Raises:
        UsageError: no data set has this name, or the user's own cannot be used as it is.
        DDCoreError: a file is missing and cannot be downloaded, or is damaged.
    """
    custom = parse(name)
    if custom is not None:
        return replace(CUSTOM[custom.kind](custom, session), address=name)
    return DATASETS[known("data set", name, NAMES)].load(data)


def data_folder() -> Path:
    """Return the folder of the data sets: $DDCORE_DATA, otherwise ``./data``."""
    return Path(os.environ.get("DDCORE_DATA") or "data")
