"""Folders that the Hugging Face library opens as they are: a Parquet table, a dataset card, and the set itself."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ddcore.data import Inputs, Task, Tokens, encode, join, quiet
from ddcore.errors import DDCoreError, require
from ddcore.runtime import write_atomic
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.formats.card import CARD, check_card, write_card
from ddcore.sets.formats.class_labels import soft_of
from ddcore.sets.formats.contract import Format, Members
from ddcore.sets.formats.limits import check_bytes, check_size
from ddcore.sets.formats.png import decoded, encoded_pictures
from ddcore.sets.formats.wording import reading_lines, without_words

if TYPE_CHECKING:
    import pyarrow
    from pyarrow import parquet

TABLE, EXACT = "data/train-00000-of-00001.parquet", "exact"
BATCH = 100
"""Rows that are unpacked at a time."""
IMAGE, TEXT, LABEL, SOFT = "image", "text", "label", "soft_label"


def recognises(path: Path) -> bool:
    """Return whether a folder holds Parquet tables, in itself or in its folder ``data``."""
    return path.is_dir() and bool(_tables(path))


def read(path: Path, task: Task) -> Members:
    """Return the members in the tables of a folder: those of the training split if there are several.

    Nothing but the tables and the card is opened. An image is the bytes in its cell, never a path. A text is tokenised
    with the vocabulary of the data set.
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
        notes += (f"{path / EXACT} holds the set that this table was written from, without rounding: give it as --set",)
    x = _joined([each.x for each in parts])
    if isinstance(x, Tokens):
        notes += reading_lines(x, task)
    soft = [each.soft for each in parts if each.soft is not None]
    return Members(
        x=x,
        y=torch.cat([each.y for each in parts]),
        soft=torch.cat(soft) if soft else None,
        classes=classes,
        notes=notes,
        texts=tuple(text for each in parts for text in each.texts),
    )


def write(small: DistilledSet, folder: Path) -> None:
    """Write the table, and the set as ddcore saves it."""
    import datasets

    images = small.kind == "images"
    member = IMAGE if images else TEXT
    features = datasets.Features(
        {
            member: datasets.Image() if images else datasets.Value("string"),
            LABEL: datasets.ClassLabel(names=list(small.classes)),
            SOFT: datasets.List(datasets.Value("float32")),
        }
    )
    rows = {
        member: [{"bytes": each, "path": None} for each in encoded_pictures(small)] if images else list(small.texts),
        LABEL: small.y.tolist(),
        SOFT: small.targets().tolist(),
    }
    buffer = io.BytesIO()
    with quiet():
        datasets.Dataset.from_dict(rows, features=features).to_parquet(buffer)
    write_atomic(folder / TABLE, buffer.getvalue())
    without_words(small).save(folder / EXACT)


def _tables(path: Path) -> list[Path]:
    """Return the Parquet tables of a folder, those of the training split if there are any."""
    tables = sorted(file for place in (path, path / "data") for file in place.glob("*.parquet") if file.is_file())
    return [table for table in tables if table.name.startswith("train")] or tables


def _read_table(path: Path, task: Task) -> Members:
    """Return the members in one table, whose rows are read in batches."""
    import pyarrow
    from pyarrow import parquet

    check_size(path)
    pictures: list[Tensor] = []
    texts: list[str] = []
    labels: list[Any] = []
    shares: list[Any] = []
    member = IMAGE if task.tokeniser is None else TEXT
    try:
        with open(path, "rb") as raw, parquet.ParquetFile(raw) as file:
            names = _checked(file, member, path)
            check_bytes(file.metadata.num_rows * math.prod(task.shape), f"the pictures in {path}")
            for batch in file.iter_batches(BATCH, columns=names):
                columns, rows = batch.to_pydict(), len(labels)
                if member == IMAGE:
                    pictures.append(_pictures(columns[IMAGE], rows, path, task))
                else:
                    texts += _texts(columns[TEXT], rows, path)
                labels += columns[LABEL]
                shares += columns.get(SOFT, [])
            classes = _class_names(file.schema_arrow)
    except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
        raise DDCoreError(f"{path} is truncated or damaged, or is not a Parquet file") from error
    whole = len(labels) > 0 and all(type(label) is int and label >= 0 for label in labels)
    require(whole, f"a label in {path} is not a class number, or there is none", DDCoreError)
    y = torch.tensor(labels, dtype=torch.int64)
    soft = _soft(shares, y, path) if SOFT in names else None
    if task.tokeniser is None:
        return Members(torch.cat(pictures), y, soft, classes)
    return Members(encode(task.tokeniser, texts), y, soft, classes, texts=tuple(texts))


def _checked(file: parquet.ParquetFile, member: str, path: Path) -> list[str]:
    """Return the columns of a table that are read; refuse one without them, or one that unpacks to too much."""
    held, groups = file.schema_arrow.names, file.metadata
    shown = ", ".join(name[:30] for name in held[:8])
    for name in (member, LABEL):
        require(held.count(name) == 1, f"{path} has no column '{name}' (it has: {shown})", DDCoreError)
    size = sum(groups.row_group(i).total_byte_size for i in range(groups.num_row_groups))
    check_bytes(size, f"the unpacked content of {path}")
    return [name for name in (member, LABEL, SOFT) if name in held]


def _pictures(cells: list[Any], rows: int, path: Path, task: Task) -> Tensor:
    """Return the pictures of a batch after `rows` others, whose cells hold their bytes: ``(B, C, H, W)`` uint8."""
    x = np.empty((len(cells), *task.shape), dtype=np.uint8)
    for i, cell in enumerate(cells):
        content, row = cell.get("bytes") if isinstance(cell, dict) else cell, f"row {rows + i + 1} of {path}"
        require(isinstance(content, bytes), f"{row} holds no picture in '{IMAGE}'", DDCoreError)
        x[i] = decoded(io.BytesIO(content or b""), row, task)
    return torch.from_numpy(x)


def _texts(cells: list[Any], rows: int, path: Path) -> list[str]:
    """Return the texts of a batch after `rows` others."""
    for number, text in enumerate(cells, rows + 1):
        filled = isinstance(text, str) and bool(text.strip())
        require(filled, f"row {number} of {path} holds no text in '{TEXT}'", DDCoreError)
    return cells


def _joined(parts: list[Inputs]) -> Inputs:
    """Return the members of all tables, in order."""
    tokens = [part for part in parts if isinstance(part, Tokens)]
    return join(tokens) if tokens else torch.cat([part for part in parts if isinstance(part, Tensor)])


def _soft(cells: list[Any], y: Tensor, path: Path) -> Tensor | None:
    """Return the soft labels in a column."""
    try:
        shares = torch.tensor(cells, dtype=torch.float64)
    except (TypeError, ValueError) as error:
        raise DDCoreError(f"a soft label in {path} is not a list of as many numbers as the others") from error
    sound = shares.ndim == 2 and int(y.max()) < shares.shape[1]
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
    kinds=("images", "tokens", "embeddings"),
    layout=f"a folder that `datasets.load_dataset` opens as it is: `{TABLE}` with the columns `{IMAGE}` (PNG) or "
    f"`{TEXT}`, `{LABEL}` (ClassLabel) and `{SOFT}` (a probability per class); `{CARD}`, the dataset card; and "
    f"`{EXACT}`, the set as ddcore saves it. Tables of others need no `soft_label`; of several splits `train` is read",
    recognises=recognises,
    read=read,
    write=write,
    normalisation="",
    lacks=f"nothing of the set, which is whole in `{EXACT}`; the table holds pictures or texts, classes and "
    "probabilities alone",
    rounding=f"`{EXACT}` exact; pictures to 1/255 of the range from black to white and clamped to it, which is exact "
    "for pixels of real members; texts exact, as in JSON lines; probabilities to the rounding of float32",
    source="`datasets`, whose `load_dataset` opens the folder in a test",
    describe=write_card,
)
