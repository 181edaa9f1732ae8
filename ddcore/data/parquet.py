"""Data sets in the Hugging Face parquet layout: read from a folder, or downloaded into it first."""

import io
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ddcore.data.examples import Examples
from ddcore.data.images import image_task
from ddcore.data.task import Task
from ddcore.errors import DDCoreError
from ddcore.runtime import write_atomic

# The first bytes of a JPEG file.
JPEG = b"\xff\xd8"
# By name; the type of a column's cells is known to pyarrow only, at run time.
Columns = dict[str, list]


@dataclass(frozen=True)
class Publication:
    """Where a data set is published.

    Attributes:
        name: of the data set, and of its folder among the data.
        repository: on the Hugging Face Hub.
        config: the folder of its files, at the publisher and in its own folder here.
    """

    name: str
    repository: str
    config: str


def read_split(data: Path, publication: Publication, split: str) -> Columns:
    """Return the columns of one split as lists, from ``<data>/<name>/<config>/<split>-*.parquet``.

    Args:
        data: folder of all data sets.
        publication: of the data set.
        split: ``train`` or ``test``.

    Raises:
        DDCoreError: the files are missing and cannot be downloaded, or one is truncated or damaged.
    """
    import pyarrow
    from pyarrow import parquet

    folder = data / publication.name / publication.config
    if not any(folder.glob(f"{split}-*.parquet")):
        _download(folder, publication, data)
    columns: Columns = {}
    for path in sorted(folder.glob(f"{split}-*.parquet")):
        try:
            table = parquet.read_table(path).to_pydict()
        except (pyarrow.ArrowException, OSError) as error:
            raise DDCoreError(
                f"{path} is truncated or damaged: delete it and run again with network access, "
                "or point --data at a folder that has it"
            ) from error
        for column, values in table.items():
            columns.setdefault(column, []).extend(values)
    return columns


def parquet_images(publication: Publication, label: str, classes: tuple[str, ...], source: str, data: Path) -> Task:
    """Return a data set of encoded images, in the column ``img``, as a task.

    Args:
        publication: of the data set.
        label: column of the class numbers.
        classes: a readable name for each class.
        source: see `Task`; a copy that was compressed as JPEG is marked as one.
        data: folder of all data sets.

    Raises:
        DDCoreError: as `read_split`.
    """

    def part(table: Columns) -> Examples:
        x = torch.stack([_decoded(cell["bytes"]) for cell in table["img"]])
        return Examples(x.permute(0, 3, 1, 2).contiguous(), torch.tensor(table[label], dtype=torch.int64))

    train = read_split(data, publication, "train")
    if any(cell["bytes"].startswith(JPEG) for cell in train["img"]):
        source += "; a copy compressed as JPEG, on which accuracies are slightly lower than on the original"
    return image_task(
        publication.name, classes, part(train), lambda: part(read_split(data, publication, "test")), source
    )


def _decoded(encoded: bytes) -> Tensor:
    """Return an image's pixels ``(H, W, 3)`` uint8."""
    import numpy as np
    from PIL import Image

    return torch.from_numpy(np.array(Image.open(io.BytesIO(encoded)).convert("RGB")))


def _download(folder: Path, publication: Publication, data: Path) -> None:
    """Download all splits through `datasets` and write them as parquet files into `folder`."""
    import datasets

    try:
        splits = datasets.load_dataset(publication.repository)
    except Exception as error:  # the library raises many kinds, by cause and version
        raise DDCoreError(
            f"{publication.name} is not in {data} and cannot be downloaded: "
            "connect to the network, or set DDCORE_DATA (or --data) to a folder that has it"
        ) from error
    for split in ("train", "test"):
        buffer = io.BytesIO()
        splits[split].to_parquet(buffer)
        write_atomic(folder / f"{split}-00000-of-00001.parquet", buffer.getvalue())
