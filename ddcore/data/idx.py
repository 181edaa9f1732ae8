"""Data sets in MNIST's IDX format, and downloads through torchvision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ddcore.data.examples import Examples
from ddcore.data.images import image_task
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
        DDCoreError: a file is missing and cannot be downloaded, or is damaged.
    """

    def part(train: bool) -> Examples:
        from torchvision import datasets

        read = getattr(datasets, torchvision_name)
        raw = data / torchvision_name / "raw"
        remedy = f"delete {raw} and run again with network access, or point --data at a folder that has it"
        try:
            split = read(root=data, train=train, download=False)
        except RuntimeError as error:
            if "not found" not in str(error):
                raise DDCoreError(f"a file under {raw} is damaged ({error}): {remedy}") from error
            split = downloaded(lambda: read(root=data, train=train, download=True), data, torchvision_name)
        except (ValueError, OSError, EOFError) as error:
            raise DDCoreError(f"a file under {raw} is truncated or damaged ({error}): {remedy}") from error
        if len(split.data) != len(split.targets):
            counts = f"{len(split.data)} images, {len(split.targets)} labels"
            raise DDCoreError(f"the files under {raw} do not belong together ({counts}): {remedy}")
        return Examples(split.data[:, None].contiguous(), split.targets.long())

    return image_task(name, classes, part(True), lambda: part(False), source)


def downloaded(read: Callable[[], VisionDataset], data: Path, name: str) -> VisionDataset:
    """Return what torchvision downloads; it shows its own progress bar.

    Raises:
        DDCoreError: the data set cannot be downloaded.
    """
    try:
        return read()
    except (OSError, RuntimeError) as error:
        raise DDCoreError(
            f"{name} is not in {data} and cannot be downloaded: "
            "connect to the network, or set DDCORE_DATA (or --data) to a folder that has it"
        ) from error
