"""Folders that the Hugging Face library opens as they are: a Parquet table, a dataset card, and the set itself."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ddcore.data import Task, quiet
from ddcore.errors import DDCoreError, require
from ddcore.runtime import write_atomic
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.formats.card import CARD, check_card, write_card
from ddcore.sets.formats.class_labels import soft_of
from ddcore.sets.formats.contract import Format, Members
from ddcore.sets.formats.limits import check_bytes, check_size
from ddcore.sets.formats.png import decoded, encoded_pictures

if TYPE_CHECKING:
    import pyarrow
    from pyarrow import parquet

TABLE, EXACT = "data/train-00000-of-00001.parquet", "exact"
BATCH = 100
"""Rows that are unpacked at a time."""
IMAGE, LABEL, SOFT = "image", "label", "soft_label"


def recognises(path: Path) -> bool:
    """Return whether a folder holds Parquet tables, in itself or in its folder ``data``."""
    return path.is_dir() and bool(_tables(path))


def read(path: Path, task: Task) -> Members:
    """Return the members in the tables of a folder: those of the training split if there are several.

    Nothing but the tables and the card is opened. An image is the bytes in its cell, never a path.
    """
    require(path.is_dir(), f"{path} is not a folder", DDCoreError)
    tables = _tables(path)
    require(bool(tables), f"{path} holds no Parquet tables", DDCoreError)
    notes = check_card(path)
    parts = [_read_table(each, task) for each in tables]
    classes = parts[0].classes
    same = all(each.classes == classes and (each.soft is None) == (parts[0].soft is None) for each in parts)
    require(same, f"the tables in {path} differ in their classes or columns", DDCoreError)
    if (path / EXACT / "set.json").is_file():
        notes += (f"{path / EXACT} holds the set that these pictures were rounded from: give it as --set",)
    soft = [each.soft for each in parts if each.soft is not None]
    return Members(
        x=torch.cat([each.x for each in parts]),  # type: ignore[misc]
        y=torch.cat([each.y for each in parts]),
        soft=torch.cat(soft) if soft else None,
        classes=classes,
        notes=notes,
    )


def write(small: DistilledSet, folder: Path) -> None:
    """Write the table, and the set as ddcore saves it."""
    import datasets

    features = datasets.Features(
        {
            IMAGE: datasets.Image(),
            LABEL: datasets.ClassLabel(names=list(small.classes)),
            SOFT: datasets.List(datasets.Value("float32")),
        }
    )
    rows = {
        IMAGE: [{"bytes": picture, "path": None} for picture in encoded_pictures(small)],
        LABEL: small.y.tolist(),
        SOFT: small.targets().tolist(),
    }
    buffer = io.BytesIO()
    with quiet():
        datasets.Dataset.from_dict(rows, features=features).to_parquet(buffer)
    write_atomic(folder / TABLE, buffer.getvalue())
    small.save(folder / EXACT)


def _tables(path: Path) -> list[Path]:
    """Return the Parquet tables of a folder, those of the training split if there are any."""
    tables = sorted(file for place in (path, path / "data") for file in place.glob("*.parquet") if file.is_file())
    return [table for table in tables if table.name.startswith("train")] or tables


def _read_table(path: Path, task: Task) -> Members:
    """Return the members in one table, whose rows are read in batches."""
    import pyarrow
    from pyarrow import parquet

    check_size(path)
    try:
        with open(path, "rb") as raw, parquet.ParquetFile(raw) as file:
            names, rows = _checked(file, path), file.metadata.num_rows
            channels, height, width = task.shape
            check_bytes(rows * channels * height * width, f"the pictures in {path}")
            x = np.empty((rows, channels, height, width), dtype=np.uint8)
            labels: list[Any] = []
            shares: list[Any] = []
            for batch in file.iter_batches(BATCH, columns=names):
                columns = batch.to_pydict()
                for i, cell in enumerate(columns[IMAGE], len(labels)):
                    x[i] = _picture(cell, f"row {i + 1} of {path}", task)
                labels += columns[LABEL]
                shares += columns.get(SOFT, [])
            classes = _class_names(file.schema_arrow)
    except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
        raise DDCoreError(f"{path} is truncated or damaged, or is not a Parquet file") from error
    whole = all(type(label) is int and label >= 0 for label in labels)
    require(whole, f"a label in {path} is not a class number", DDCoreError)
    y = torch.tensor(labels, dtype=torch.int64)
    return Members(torch.from_numpy(x), y, _soft(shares, y, path) if SOFT in names else None, classes)


def _checked(file: parquet.ParquetFile, path: Path) -> list[str]:
    """Return the columns of a table that are read; refuse one without them, or one that unpacks to too much."""
    held, groups = file.schema_arrow.names, file.metadata
    shown = ", ".join(name[:30] for name in held[:8])
    for name in (IMAGE, LABEL):
        require(held.count(name) == 1, f"{path} has no column '{name}' (it has: {shown})", DDCoreError)
    size = sum(groups.row_group(i).total_byte_size for i in range(groups.num_row_groups))
    check_bytes(size, f"the unpacked content of {path}")
    return [name for name in (IMAGE, LABEL, SOFT) if name in held]


def _picture(cell: object, row: str, task: Task) -> np.ndarray:
    """Return the picture in a cell, which holds its bytes: ``(C, H, W)`` uint8."""
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(content, bytes):
        raise DDCoreError(f"{row} holds no picture in '{IMAGE}'")
    return decoded(io.BytesIO(content), row, task)


def _soft(cells: list[Any], y: Tensor, path: Path) -> Tensor | None:
    """Return the soft labels in a column."""
    try:
        shares = torch.tensor(cells, dtype=torch.float64)
    except (TypeError, ValueError) as error:
        raise DDCoreError(f"a soft label in {path} is not a list of as many numbers as the others") from error
    sound = shares.ndim == 2 and len(shares) > 0 and int(y.max()) < shares.shape[1]
    require(sound, f"the soft labels in {path} are not (N, K), or a label is none of the K classes", DDCoreError)
    return soft_of(shares, y, path)


def _class_names(schema: pyarrow.Schema) -> tuple[str, ...]:
    """Return the names that the library keeps with a column of the type ClassLabel; empty without them."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = features[LABEL]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return ()
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()


FORMAT = Format(
    name="hf",
    title="Hugging Face Hub",
    kinds=("images",),
    layout=f"a folder that `datasets.load_dataset` opens as it is: `{TABLE}` with the columns `{IMAGE}` (PNG), "
    f"`{LABEL}` (ClassLabel) and `{SOFT}` (a probability per class); `{CARD}`, the dataset card; and `{EXACT}`, the "
    "set as ddcore saves it. Tables of others need no `soft_label`; of several splits `train` is read",
    recognises=recognises,
    read=read,
    write=write,
    normalisation="",
    lacks=f"nothing of the set, which is whole in `{EXACT}`; the table holds pictures, classes and probabilities alone",
    rounding=f"`{EXACT}` exact; pictures to 1/255 of the range from black to white and clamped to it, which is exact "
    "for pixels of real members; probabilities to the rounding of float32",
    source="the documentation of `datasets`, `load_dataset`; `he-yang/2025-rethinkdc-*` on the Hub",
    describe=write_card,
)
