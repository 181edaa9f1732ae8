"""Arrays in ``.npz`` files, read without pickle and within the limits."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ddcore.errors import DDCoreError, require
from ddcore.runtime import write_atomic
from ddcore.sets.formats.limits import check_bytes, check_size


def load_arrays(path: Path, names: Sequence[str]) -> dict[str, Tensor]:
    """Return some arrays of a ``.npz`` file as tensors.

    Raises:
        DDCoreError: the file is missing, too large or damaged; or an array is not there, not of numbers, or too large.
    """
    check_size(path)
    try:
        with zipfile.ZipFile(path) as archive:
            held = {name.removesuffix(".npy"): name for name in archive.namelist()}
            for name in names:
                shown = ", ".join(each[:30] for each in list(held)[:8])
                require(name in held, f"{path} holds no array '{name}' (it has: {shown})", DDCoreError)
                _check_header(archive, held[name], f"'{name}' in {path}")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in names}
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    except (ValueError, OSError, EOFError, TypeError, MemoryError, zipfile.BadZipFile, RuntimeError) as error:
        raise DDCoreError(f"{path} is not a readable .npz file: truncated, damaged, or of another format") from error


def save_arrays(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Write arrays as one ``.npz`` file, atomically.

    Raises:
        DDCoreError: the folder cannot be written.
    """
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    write_atomic(path, content.getvalue())


def _check_header(archive: zipfile.ZipFile, name: str, what: str) -> None:
    """Refuse an array that is not of numbers, or that says to be larger than its content."""
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    require(
        dtype.kind in "fiub" and dtype.itemsize <= 8, f"{what} is an array of {dtype.str}, not of numbers", DDCoreError
    )
    size = dtype.itemsize
    for side in shape:
        size *= side
    check_bytes(size, what)
    require(size <= archive.getinfo(name).file_size, f"{what} is truncated", DDCoreError)
