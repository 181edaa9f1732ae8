"""The pictures in a column of a Hugging Face data set, which hold their bytes or name a file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ddcore.data.custom import CustomData
from ddcore.data.hf_columns import Split, checked, where_of
from ddcore.data.hf_splits import lies_in, roots_of
from ddcore.errors import DDCoreError, require

if TYPE_CHECKING:
    import pyarrow

LATE = 2**62
"""A time in nanoseconds after all others."""


class Cells:
    """The pictures of a column: ``(name, bytes or path)`` each, read when it is asked for."""

    def __init__(self, custom: CustomData, column: str, splits: Sequence[tuple[Split, list[int]]]) -> None:
        """Take the rows with these numbers of each split, one split after the other.

        Raises:
            DDCoreError: the column is damaged.
        """
        self.custom, self.column, self.splits = custom, column, splits
        self.roots = roots_of(custom)
        self.columns = [checked(where_of(custom, split), split.data, column) for split, _ in splits]

    def __len__(self) -> int:
        return sum(len(rows) for _, rows in self.splits)

    def __getitem__(self, i: int) -> tuple[str, bytes | Path]:
        """Return the name for messages and the content of a picture.

        Raises:
            DDCoreError: there is none, or its file lies outside the data's folder.
        """
        part = 0
        while i >= len(self.splits[part][1]):
            i -= len(self.splits[part][1])
            part += 1
        split, rows = self.splits[part]
        name, cell = f"row {rows[i] + 1} of {where_of(self.custom, split)}", self.columns[part][rows[i]].as_py()
        content, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
        if isinstance(content, bytes):
            return name, content
        if not isinstance(path, str):
            raise DDCoreError(f"{name} holds no image in the column '{self.column}': remove the row")
        inside = lies_in(path, self.roots)
        require(inside, f"{name} names a file outside the data's folder, which is not read", DDCoreError)
        return path, Path(path)

    def states(self) -> tuple[list[str], np.ndarray]:
        """Return a name of each picture and the state of the file that holds it, as for `FileIndex`."""
        names: list[str] = []
        states: list[tuple[int, ...]] = []
        for (split, rows), column in zip(self.splits, self.columns, strict=True):
            paths, own = _paths(column), _state([each["filename"] for each in split.data.cache_files])
            for row in rows:
                path = paths[row]
                names.append(path or f"{split.name} {row}")
                states.append(_state([path]) if path else own)
        return names, np.array(states, np.int64).reshape(-1, 4)


def _paths(column: pyarrow.ChunkedArray) -> Sequence[str | None]:
    """Return the path of each cell that has one in place of bytes; None for the others."""
    from pyarrow import compute, types

    if not types.is_struct(column.type) or {each.name for each in column.type} != {"bytes", "path"}:
        return [None] * len(column)
    content, path = (compute.struct_field(column, name) for name in ("bytes", "path"))
    return compute.if_else(content.is_null(), path, None).to_pylist() if content.null_count else [None] * len(column)


def _state(paths: Sequence[str]) -> tuple[int, int, int, int]:
    """Return size, inode number and times of some files; of none or a missing one, those of a file that is new."""
    try:
        each = [os.stat(path) for path in paths]
    except (OSError, ValueError):
        each = []
    if not each:
        return 0, 0, LATE, LATE
    inodes = hashlib.blake2b(repr([state.st_ino for state in each]).encode(), digest_size=7).digest()
    return (
        sum(state.st_size for state in each),
        int.from_bytes(inodes, "big"),
        max(state.st_mtime_ns for state in each),
        max(state.st_ctime_ns for state in each),
    )
