"""Data sets in MNIST's IDX format, and downloads through torchvision."""

from __future__ import annotations

from collections.abc import Callable
from errno import EACCES, EPERM, EROFS
from pathlib import Path
from typing import TYPE_CHECKING

from ddcore.data.examples import Examples
from ddcore.data.images import image_task
from ddcore.data.labels import class_numbers
from ddcore.data.task import Task
from ddcore.errors import DDCoreError

if TYPE_CHECKING:
    from torchvision.datasets import VisionDataset


def idx_task(name: str, torchvision_name: str, classes: tuple[str, ...], source: str, data: Path) -> Task:
    """Return a data set that torchvision reads as it reads MNIST.

    Args:
        name: of the data set.
        torchvision_name: of torchvision's class, and of the folder in `data`.
        classes: a readable name for each class.
        source: see `Task`.
        data: folder of all data sets.

    Raises:
        DDCoreError: a file is missing and cannot be downloaded, is damaged, or holds labels that are no classes.
    """

    def part(train: bool) -> Examples:
        from torchvision import datasets

        read = getattr(datasets, torchvision_name)
        raw = data / torchvision_name / "raw"
        remedy = f"delete {raw} and run again with network access, or point --data at a folder that has it"
        check_readable(raw)
        try:
            split = read(root=data, train=train, download=False)
        except RuntimeError as error:
            if "not found" not in str(error):
                raise DDCoreError(f"a file under {raw} is damaged ({error}): {remedy}") from error
            split = downloaded(lambda: read(root=data, train=train, download=True), data, torchvision_name)
        # What torchvision asserts of a file's first bytes, and what it raises, has no common base.
        except (ValueError, TypeError, LookupError, OSError, EOFError, AssertionError) as error:
            reason = str(error) or type(error).__name__
            raise DDCoreError(f"a file under {raw} is truncated or damaged ({reason}): {remedy}") from error
        if len(split.data) != len(split.targets):
            counts = f"{len(split.data)} images, {len(split.targets)} labels"
            raise DDCoreError(f"the files under {raw} do not belong together ({counts}): {remedy}")
        y = class_numbers(
            split.targets.tolist(), len(classes), f"the {'train' if train else 'test'} part in {raw}", remedy
        )
        return Examples(split.data[:, None].contiguous(), y)

    return image_task(name, classes, part(True), lambda: part(False), source)


def check_readable(folder: Path) -> None:
    """Refuse a folder that is there but cannot be read; what is missing can be downloaded.

    Raises:
        DDCoreError: the folder cannot be listed, or the files in it cannot be reached.
    """
    try:
        for path in folder.iterdir():
            path.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise DDCoreError(f"{error.filename} cannot be read: {error.strerror}") from error


def downloaded(read: Callable[[], VisionDataset], data: Path, name: str) -> VisionDataset:
    """Return what torchvision downloads; it shows its own progress bar.

    Raises:
        DDCoreError: the data set cannot be downloaded.
    """
    try:
        return read()
    except (OSError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno in (EACCES, EPERM, EROFS):
            raise DDCoreError(
                f"{error.filename} cannot be read or written ({error.strerror}): give --data a folder that can be, or "
                "unpack its .gz files there (gunzip -k)"
            ) from error
        raise DDCoreError(
            f"{name} is not in {data} and cannot be downloaded: "
            "connect to the network, or set DDCORE_DATA (or --data) to a folder that has it"
        ) from error
