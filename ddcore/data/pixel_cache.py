"""Decoded images of large data sets: one file of pixels each, which every process of a machine maps.

A file is in the safetensors format: ``levels``, ``(C, 256)`` int64, how often each level occurs in each channel, then
``pixels``, ``(N, C, H, W)`` uint8. It begins with a header of `HEADER` bytes. Files lie in the folder ``pixels`` of
`ddcore.data.task.cache_dir`; what is named alike belongs together.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ddcore.data.task import cache_dir
from ddcore.errors import DDCoreError, UsageError
from ddcore.runtime import check_space

MAPPED = 256 * 2**20
"""Bytes of pixels from which on a data set is kept here."""
FORMAT = "ddcore pixels 1"
HEADER = 4096
SUFFIX = ".pixels"
REMEDY = "make room, set DDCORE_CACHE to a folder with more, or read the images with a smaller side"


@dataclass(frozen=True)
class Pixels:
    """Decoded images and the numbers of their normalisation.

    Attributes:
        x: ``(N, C, H, W)`` uint8; it lies in a file and cannot be written.
        levels: ``(C, 256)`` int64, how often each level occurs in each channel.
    """

    x: Tensor
    levels: Tensor


def pixel_folder() -> Path:
    """Return the folder of all pixel files."""
    return cache_dir() / "pixels"


def stored(path: Path) -> Pixels | None:
    """Map a pixel file; None if it is missing, cut, or of another version: then it must be made again."""
    try:
        with safe_open(path, framework="np") as file:
            if (file.metadata() or {}).get("format") != FORMAT:
                return None
            levels, shape = torch.from_numpy(file.get_tensor("levels")), file.get_slice("pixels").get_shape()
        if levels.shape != (shape[1], 256) or path.stat().st_size != _begin(shape[1]) + math.prod(shape):
            return None
        x = np.memmap(path, np.uint8, "r", _begin(shape[1]), tuple(shape))
    except (SafetensorError, OSError, ValueError, IndexError):
        return None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return Pixels(torch.from_numpy(x), levels)


class PixelFile:
    """A pixel file that is being written, by several threads."""

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)  # never through a link that lies there

    def put(self, begin: int, pixels: np.ndarray) -> None:
        """Write images ``(B, C, H, W)`` uint8 from the place `begin` on."""
        self._write(_begin(self.shape[1]) + begin * math.prod(self.shape[1:]), np.ascontiguousarray(pixels))

    def finish(self, levels: Tensor) -> None:
        """Write what comes before the pixels, and all of it to the disk."""
        end = levels.numel() * 8
        header = {
            "__metadata__": {"format": FORMAT},
            "levels": {"dtype": "I64", "shape": list(levels.shape), "data_offsets": [0, end]},
            "pixels": {"dtype": "U8", "shape": self.shape, "data_offsets": [end, end + math.prod(self.shape)]},
        }
        text = json.dumps(header).encode().ljust(HEADER - 8)
        self._write(0, np.frombuffer(len(text).to_bytes(8, "little") + text, np.uint8))
        self._write(HEADER, levels.contiguous().numpy())
        os.fsync(self.number)

    def _write(self, place: int, content: np.ndarray) -> None:
        left = content.data.cast("B")
        while left:
            done = os.pwrite(self.number, left, place)
            place, left = place + done, left[done:]


@contextmanager
def new_pixels(path: Path, shape: tuple[int, ...]) -> Iterator[PixelFile]:
    """Write a pixel file, which is there when the ``with`` block ends, or not at all.

    Raises:
        DDCoreError: there is no room, or it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    file = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in path.parent.glob(f".{path.name}.*"):  # of processes that were killed: this one holds the lock
            stale.unlink(missing_ok=True)
        check_space(path.parent, math.prod(shape), REMEDY)
        file = PixelFile(temporary, shape)
        yield file
        os.replace(temporary, path)
    except OSError as error:
        raise DDCoreError(f"cannot write {path}: {error.strerror}; nothing is left of it: {REMEDY}") from error
    finally:
        if file is not None:
            os.close(file.number)
        temporary.unlink(missing_ok=True)


@dataclass(frozen=True)
class Kept:
    """What is kept of one data set.

    Attributes:
        name: what `forget` takes.
        what: of which images, for a reader.
        files: that hold it.
    """

    name: str
    what: str
    files: tuple[Path, ...]

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(path.stat().st_size for path in self.files)


def kept() -> list[Kept]:
    """Return all that is kept, sorted by name."""
    try:
        paths = sorted(path for path in pixel_folder().iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []
    names = {path: path.stem.removesuffix("-train").removesuffix("-test") for path in paths}
    groups = {name: tuple(path for path in paths if names[path] == name) for name in sorted(set(names.values()))}
    return [Kept(name, " + ".join(map(_described, files)), files) for name, files in groups.items()]


def forget(name: str) -> int:
    """Remove what is kept under a name, and return its bytes; programs that use it keep it until they end.

    Raises:
        UsageError: nothing is kept under this name.
    """
    found = next((each for each in kept() if each.name == name), None)
    if found is None:
        raise UsageError(f"nothing is kept under the name {name}: fetch_data.py --cache lists what is")
    size = found.bytes
    for path in found.files:
        path.unlink(missing_ok=True)
    return size


def _described(path: Path) -> str:
    if path.suffix != SUFFIX:
        return "digests of files"
    pixels = stored(path)
    if pixels is None:
        return "a file that is cut or of another version"
    count, _, height, width = pixels.x.shape
    return f"{count:,} images of {width}x{height}"


def _begin(channels: int) -> int:
    """Return where the pixels begin in a file."""
    return HEADER + channels * 256 * 8
