"""SVHN, the street view house numbers."""

from functools import partial
from pathlib import Path

import torch

from ddcore.data.data_set import Counts, DataSet
from ddcore.data.examples import Examples
from ddcore.data.idx import check_readable, downloaded
from ddcore.data.images import DIGIT_CLASSES, image_task
from ddcore.data.labels import class_numbers
from ddcore.data.task import Task
from ddcore.errors import DDCoreError


def svhn(data: Path) -> Task:
    """Return SVHN, 32x32 colour, 73,257 + 26,032 digits, through torchvision, from ``<data>/SVHN``.

    Raises:
        DDCoreError: a file is missing and cannot be downloaded, or is damaged.
    """

    def part(name: str) -> Examples:
        from torchvision.datasets import SVHN

        path = data / "SVHN" / f"{name}_32x32.mat"
        remedy = f"delete {path} and run again with network access, or point --data at a folder that has it"
        check_readable(path.parent)
        try:
            read = partial(SVHN, path.parent, name)
            split = read() if path.exists() else downloaded(partial(read, download=True), data, "SVHN")
        # torchvision compares the file's checksum; the errors that scipy raises on a damaged file have no common base.
        except (RuntimeError, OSError, ValueError, KeyError, TypeError) as error:
            raise DDCoreError(f"{path} is truncated or damaged: {remedy}") from error
        y = class_numbers(split.labels.tolist(), len(DIGIT_CLASSES), str(path), remedy)
        return Examples(torch.from_numpy(split.data).contiguous(), y)

    return image_task(
        "svhn", DIGIT_CLASSES, part("train"), lambda: part("test"), "SVHN (Netzer et al. 2011), torchvision"
    )


DATA_SET = DataSet(
    name="svhn",
    title="SVHN",
    kind="images",
    counts=Counts(classes=10, train=73257, test=26032, smallest=4100, even=False, size=1024),
    load=svhn,
    mirrored=False,
    megabytes=250,
    licence="non-commercial use only",
    citation="Netzer, Wang, Coates, Bissacco, Wu & Ng 2011, NIPS Workshop on Deep Learning",
)
