"""Files of a run: written atomically (temporary file, fsync, rename), read without pickle."""

import json
import os
import shutil
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ddcore.errors import DDCoreError, require
from ddcore.runtime.lock import NAME, hold

JSONObject = dict[str, Any]
"""What a JSON file holds: values by name."""
Json: TypeAlias = Any
"""A value in a JSON file; the json module gives it no type."""

SPARE = 50 * 2**20
"""Bytes of disk space that every run needs for records and logs."""


def write_atomic(path: Path, content: bytes, older: Path | None = None) -> None:
    """Write a file so that a reader sees either the old content or the new one.

    Args:
        path: of the file.
        content: of the whole file.
        older: path to which the old file is moved; None to overwrite it.

    Raises:
        DDCoreError: the folder cannot be written or the disk is full; the old file is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if older is not None and path.exists():
            os.replace(path, older)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True) if temporary.parent.is_dir() else None
        if not isinstance(error, OSError):
            raise
        raise DDCoreError(f"cannot write {path}: {error.strerror}; existing files are unchanged") from error


def write_json(path: Path, value: Json) -> None:
    """Write a value as indented JSON, atomically."""
    write_atomic(path, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Json:
    """Return the value in a JSON file.

    Raises:
        DDCoreError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise DDCoreError(f"{path} is missing") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DDCoreError(f"{path} is damaged: it is not JSON ({error})") from error


def save_tensors(
    path: Path, tensors: dict[str, Tensor], notes: dict[str, str] | None = None, older: Path | None = None
) -> None:
    """Write tensors of any shape and dtype, with text notes, as one safetensors file, as `write_atomic` does."""
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomic(path, save(ready, notes), older)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and notes that `save_tensors` wrote; nothing is unpickled.

    Raises:
        DDCoreError: the file is missing, truncated or in another format.
    """
    require(path.is_file(), f"{path} is missing", DDCoreError)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise DDCoreError(f"{path} is not a readable safetensors file: truncated, or of another format") from error


def set_aside(folder: Path) -> Path:
    """Rename a run folder to the first free ``NAME.old-K`` and return the new name.

    Raises:
        DDCoreError: a process uses the folder, or it cannot be renamed.
    """
    if (folder / NAME).exists():
        hold(folder)
    names = (folder.with_name(f"{folder.name}.old-{number}") for number in count(1))
    try:
        return folder.rename(next(name for name in names if not name.exists()))
    except OSError as error:
        raise DDCoreError(f"cannot rename {folder}: {error.strerror}") from error


def check_space(folder: Path, needed: int = 0, remedy: str = "make room") -> int:
    """Return the free disk space of a folder in bytes, at least `needed` and `SPARE`.

    Args:
        folder: to write to; it need not exist.
        needed: bytes.
        remedy: advice for the error message.

    Raises:
        DDCoreError: less disk space is free.
    """
    existing = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    free, needed = shutil.disk_usage(existing).free, needed + SPARE
    require(
        free >= needed,
        f"needs about {in_words(needed)} of disk, {in_words(free)} are free in {folder}: {remedy}",
        DDCoreError,
    )
    return free


def in_words(size: float) -> str:
    """Return a number of bytes as text, in GB, or in MB below 0.1 GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"
