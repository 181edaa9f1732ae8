"""Data sets in the Hugging Face parquet layout: read from a folder, or downloaded into it first."""

import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ddcore.data.examples import Examples
from ddcore.data.hf_splits import hub_splits
from ddcore.data.image_files import decoded
from ddcore.data.images import image_task
from ddcore.data.labels import class_numbers
from ddcore.data.task import Task
from ddcore.errors import DDCoreError, require
from ddcore.runtime import LOG, write_atomic

# The first bytes of a JPEG file.
JPEG = b"\xff\xd8"
# ``train-00000-of-00002.parquet``, as the Hugging Face Hub names the parts of a split; some have a digest behind that.
SHARD = r"-(\d+)-of-(\d+)(-[0-9a-f]+)?\.parquet"
SIDE = 32
REMEDY = "delete {} and run again with network access, or point --data at a folder that has it"
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


def shards(data: Path, publication: Publication, split: str) -> list[Path]:
    """Return the files of one split, in order, after it has been downloaded if there are none.

    Files that are named otherwise, such as copies, are left out; a warning names them.

    Raises:
        DDCoreError: the folder cannot be read; the files are missing and cannot be downloaded, or some of them are.
    """
    folder = data / publication.name / publication.config
    for _ in range(2):
        try:
            present = sorted(path for path in folder.iterdir() if path.match(f"{split}-*.parquet"))
        except (FileNotFoundError, NotADirectoryError):
            present = []
        except OSError as error:
            raise DDCoreError(f"{folder} cannot be read: {error.strerror}") from error
        if present:
            break
        _download(folder, publication, data)
    found = {path: match for path in present if (match := re.fullmatch(split + SHARD, path.name))}
    for path in present:
        if path not in found:
            LOG.warning("%s is left out: it is not named as a part of a data set is", path)
    numbers, counts = ([int(match[k]) for match in found.values()] for k in (1, 2))
    require(
        bool(found) and sorted(numbers) == list(range(counts[0])) and len(set(counts)) == 1,
        f"{folder} must hold {split}-00000-of-0000N.parquet and all that follow it, each once; it has "
        f"{', '.join(path.name for path in list(found or present)[:4])}: {REMEDY.format(folder)}",
        DDCoreError,
    )
    return list(found)


def read_columns(path: Path, names: Sequence[str]) -> Columns:
    """Return some columns of a Parquet file as lists; no other is read.

    Raises:
        UsageError: a column is missing, occurs twice or holds dates or times.
        DDCoreError: the file cannot be read, is truncated or damaged.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        with open(path, "rb") as raw, parquet.ParquetFile(raw) as file:
            schema = file.schema_arrow
            for name in names:
                has = ", ".join(str(column)[:30] for column in schema.names[:8])
                require(name in schema.names, f"{path} has no column '{name}' (it has: {has})")
                require(schema.names.count(name) == 1, f"{path} has the column '{name}' twice")
                kind = schema.field(name).type
                dates = pyarrow.types.is_temporal(kind)
                require(not dates, f"the column '{name}' of {path} holds dates or times ({kind})")
            table = file.read(columns=list(names))
            return {name: table.column(name).to_pylist() for name in names}
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None)  # pyarrow raises an OSError without one on damaged files
        what = f"cannot be read: {reason}" if reason else "is truncated or damaged, or is not a Parquet file"
        raise DDCoreError(f"{path} {what}") from error


def read_split(data: Path, publication: Publication, split: str, names: Sequence[str]) -> Columns:
    """Return columns of one split as lists, from ``<data>/<name>/<config>/<split>-*.parquet``.

    Args:
        data: folder of all data sets.
        publication: of the data set.
        split: ``train`` or ``test``.
        names: of the columns.

    Raises:
        DDCoreError: the files are missing and cannot be downloaded, or one is truncated or damaged.
    """
    columns: Columns = {name: [] for name in names}
    for path in shards(data, publication, split):
        try:
            part = read_columns(path, names)
        except DDCoreError as error:
            raise DDCoreError(f"{error}: {REMEDY.format(path)}") from error
        for name in names:
            columns[name] += part[name]
    return columns


def parquet_images(publication: Publication, label: str, classes: tuple[str, ...], source: str, data: Path) -> Task:
    """Return a data set of encoded images of 32x32 pixels, in the column ``img``, as a task.

    Args:
        publication: of the data set.
        label: column of the class numbers.
        classes: a readable name for each class.
        source: see `Task`; a copy that was compressed as JPEG is marked as one.
        data: folder of all data sets.

    Raises:
        DDCoreError: as `read_split`; a label is none of the classes, or an image is damaged or of another size.
    """
    folder = data / publication.name / publication.config

    def read(split: str) -> tuple[list[bytes], Tensor]:
        table = read_split(data, publication, split, ("img", label))
        where, remedy = f"the {split} part in {folder}", REMEDY.format(folder)
        encoded = []
        for number, cell in enumerate(table["img"], 1):
            content = cell.get("bytes") if isinstance(cell, dict) else cell
            if not isinstance(content, bytes):
                raise DDCoreError(f"row {number} of {where} holds no image: {remedy}")
            encoded.append(content)
        return encoded, class_numbers(table[label], len(classes), where, remedy)

    def part(split: str, encoded: list[bytes], y: Tensor) -> Examples:
        x = np.empty((len(encoded), 3, SIDE, SIDE), dtype=np.uint8)
        for i, each in enumerate(encoded):
            name = f"the image in row {i + 1} of the {split} part in {folder}"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                image = decoded(io.BytesIO(each), name, "RGB")
            require(
                image.size == (SIDE, SIDE),
                f"{name} has {image.width}x{image.height} pixels, not {SIDE}x{SIDE}: {REMEDY.format(folder)}",
                DDCoreError,
            )
            x[i] = np.asarray(image).transpose(2, 0, 1)
        return Examples(torch.from_numpy(x), y)

    encoded, y = read("train")
    if any(each.startswith(JPEG) for each in encoded):
        source += "; a copy compressed as JPEG, on which accuracies are slightly lower than on the original"
    return image_task(publication.name, classes, part("train", encoded, y), lambda: part("test", *read("test")), source)


def _download(folder: Path, publication: Publication, data: Path) -> None:
    """Download all splits through `datasets` and write them as parquet files into `folder`."""
    try:
        splits = hub_splits(publication.repository)
    except Exception as error:  # the library raises many kinds, by cause and version
        raise DDCoreError(
            f"{publication.name} is not in {data} and cannot be downloaded: "
            "connect to the network, or set DDCORE_DATA (or --data) to a folder that has it"
        ) from error
    for split in ("train", "test"):
        buffer = io.BytesIO()
        splits[split].to_parquet(buffer)
        write_atomic(folder / f"{split}-00000-of-00001.parquet", buffer.getvalue())
