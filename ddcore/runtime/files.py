"""Files of a run: written atomically (temporary file, fsync, rename), read without pickle."""

import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain, count
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ddcore.errors import DDCoreError, UsageError, require
from ddcore.runtime.lock import NAME, hold

JSONObject = dict[str, Any]
"""What a JSON file holds: values by name."""
Json: TypeAlias = Any
"""A value in a JSON file; the json module gives it no type."""

SPARE = 50 * 2**20
"""Bytes of disk space that every run needs for records and logs."""
DEEPEST = 100
"""Lists and objects inside one another in a JSON file."""
LONGEST_NUMBER = 300
"""Digits of a whole number in a JSON file."""
LONGEST_NAME = 120
"""Bytes of a file name that `file_name` makes; file systems allow 255."""


def write_atomic(path: Path, content: bytes, older: Path | None = None) -> None:
    """Write a file so that a reader sees either the old content or the new one.

    Args:
        path: of the file.
        content: of the whole file.
        older: path to which the old file is moved; None to overwrite it.

    Raises:
        DDCoreError: the folder cannot be written or the disk is full; the old file is unchanged.
    """
    with replacing(path, older) as file:
        file.write(content)


@contextmanager
def replacing(path: Path, older: Path | None = None) -> Iterator[BinaryIO]:
    """Give a new file to be written in a ``with`` block, at whose end it takes its name; see `write_atomic`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        with open(temporary, "xb+") as file:  # never through a link that lies there
            yield file
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
    """Return the value in a JSON file: UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Raises:
        DDCoreError: the file is missing, cannot be read, is not JSON, or holds what no other program could use: half
            a character, a number without end, or values nested deeper than `DEEPEST`.
    """
    return parse_json(_bytes_of(path), path)


def parse_json(content: bytes | str, source: Path) -> Json:
    """Return the value of some JSON from a file, as `read_json` does; `source` is for messages."""
    try:
        value = json.loads(content, parse_int=_whole, parse_float=_finite, parse_constant=_finite)
    except RecursionError as error:
        raise DDCoreError(f"{source} is damaged: its values are nested too deep") from error
    except ValueError as error:
        raise DDCoreError(f"{source} is damaged: it is not JSON ({error})") from error
    fault = _unusable(value)
    require(not fault, f"{source} is damaged: {fault}", DDCoreError)
    return value


def _bytes_of(path: Path) -> bytes:
    try:
        require(path.is_file() or not path.exists(), f"{path} is not a file", DDCoreError)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DDCoreError(f"{path} is missing") from error
    except OSError as error:
        raise DDCoreError(f"{path} cannot be read: {error.strerror}") from error


def _whole(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"a number has {len(text):,} digits")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def _unusable(value: Json) -> str:
    """Return why a value that was read cannot be used; empty if it can."""
    left: list[tuple[Json, int]] = [(value, 0)]
    while left:
        each, depth = left.pop()
        if isinstance(each, str) and not each.isascii() and any("\ud800" <= sign <= "\udfff" for sign in each):
            return "a text holds half a character"
        if isinstance(each, dict | list):
            if depth == DEEPEST:
                return "its values are nested too deep"
            inside = [*each, *each.values()] if isinstance(each, dict) else each
            left += [(item, depth + 1) for item in inside]
    return ""


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
    with open_tensors(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118


@contextmanager
def open_tensors(path: Path, framework: str) -> Iterator[Any]:
    """Open a safetensors file, for ``pt`` or ``numpy``, in a ``with`` block; see `load_tensors`."""
    try:
        require(path.is_file(), f"{path} is missing", DDCoreError)
        path.open("rb").close()  # says what safetensors does not: that the file may not be read
        with safe_open(path, framework=framework) as file:
            yield file
    except PermissionError as error:
        raise DDCoreError(f"{path} cannot be read: {error.strerror}") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise DDCoreError(f"{path} is not a readable safetensors file: truncated, or of another format") from error


def tensors_digest(tensors: Iterable[Tensor]) -> str:
    """Return a short digest of tensors in their order: of their types, shapes and bytes."""
    digest = hashlib.blake2b(digest_size=8)
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def files_digest(folder: Path, paths: Iterable[Path]) -> str:
    """Return a short digest of files in a folder, in their order: of their names and bytes; empty without any.

    Raises:
        DDCoreError: a file cannot be read.
    """
    digest, names = hashlib.blake2b(digest_size=8), []
    for path in paths:
        names.append(path.relative_to(folder).as_posix())
        try:
            state = path.stat()
            version = (state.st_size, state.st_mtime_ns, state.st_ino)
            digest.update(names[-1].encode() + b"\0" + _file_digest(path.absolute(), version))
        except OSError as error:
            raise DDCoreError(f"{path} cannot be read: {error.strerror}") from error
    return digest.hexdigest() if names else ""


@lru_cache(maxsize=1000)
def _file_digest(path: Path, version: tuple[int, int, int]) -> bytes:
    """Return a digest of a file; a large one is read once as long as its size, time and number do not change."""
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.digest()


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


def file_name(text: str) -> str:
    """Return a text as the name of one file or folder: never empty, hidden, a path, or longer than `LONGEST_NAME`.

    Letters, digits and ``_=.,+-`` stay; every other sign becomes ``-``. A name that is too long ends in a digest.
    """
    name = re.sub(r"[^\w=.,+-]", "-", text)
    name = re.sub(r"^\.+", lambda dots: "-" * len(dots[0]), name) or "-"
    if len(name.encode()) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
    return f"{name.encode()[: LONGEST_NAME - 17].decode(errors='ignore')}-{digest}"


def file_names(texts: Iterable[str]) -> list[str]:
    """Return a `file_name` for each text, a different one for each place, also where a disk ignores case."""
    names: list[str] = []
    taken: set[str] = set()
    for text in texts:
        name = file_name(text)
        choices = chain([name], (f"{name}-{number}" for number in count(2)))
        names.append(next(choice for choice in choices if choice.casefold() not in taken))
        taken.add(names[-1].casefold())
    return names


def inside(folder: Path, name: str) -> Path:
    """Return the path of something in a folder that a file names, relative to the folder.

    Raises:
        DDCoreError: the name, or a link on the way, leads out of the folder.
    """
    path = folder / name
    require(
        path.resolve().is_relative_to(folder.resolve()),
        f"'{name}' leads out of {folder}: ddcore does not follow it",
        DDCoreError,
    )
    return path


def check_empty(folder: Path, remedy: str) -> None:
    """Refuse a folder to write to that holds something.

    Raises:
        UsageError: it does, or it is a file, or cannot be read; the line ends with the remedy.
    """
    try:
        full = folder.is_dir() and any(folder.iterdir())
        require(not full, f"{folder} is not empty: {remedy}")
        require(folder.is_dir() or not os.path.lexists(folder), f"{folder} is not a folder: {remedy}")
    except OSError as error:
        raise UsageError(f"{folder} cannot be read ({error.strerror}): {remedy}") from error


def check_links(folder: Path) -> None:
    """Refuse a folder to write to that holds a link to a place outside it.

    Raises:
        UsageError: it does; the line names the link.
    """
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
                raise UsageError(f"{path} is a link out of {folder}: remove it, or choose another folder")


def canonical(value: Json) -> bytes:
    """Return a value as JSON bytes that do not depend on the order of names or on white space."""
    same = json.loads(json.dumps(value, allow_nan=False))  # as it comes back: names are texts, tuples are lists
    return json.dumps(same, sort_keys=True, separators=(",", ":")).encode()


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
