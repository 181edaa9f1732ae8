"""The files of RaT-BPTT: HDF5 with one row of numbers per image, the classes one after the other."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ddcore.data import Task
from ddcore.errors import DDCoreError, UsageError, require
from ddcore.sets.formats.class_labels import from_regression
from ddcore.sets.formats.contract import Format, Members
from ddcore.sets.formats.limits import check_bytes, check_size

if TYPE_CHECKING:
    import h5py


def recognises(path: Path) -> bool:
    """Return whether a file has a suffix of HDF5."""
    return path.is_file() and path.suffix.lower() in (".h5", ".hdf5")


def read(path: Path, task: Task) -> Members:
    """Return the set in a file; without labels, equal numbers of members of each class stand one after the other."""
    rows, labels = _tensors(path)
    size, classes = math.prod(task.shape), len(task.classes)
    line = f"'data' in {path} has the shape {tuple(rows.shape)}; images of {task.name} are rows of {size:,} numbers"
    require(rows.ndim >= 2 and rows[0].numel() == size, line, DDCoreError)
    x = rows.reshape(-1, *task.shape)
    if labels is not None:
        y, soft = from_regression(labels, path)
        notes = () if soft is None else ("learned targets become probabilities: below 0 counts as 0",)
        return Members(x, y, soft, notes=notes)
    line = f"{path} holds {len(x):,} images without labels, which {classes} classes cannot share evenly"
    require(len(x) % classes == 0, line, DDCoreError)
    return Members(x, torch.arange(classes).repeat_interleave(len(x) // classes))


def _tensors(path: Path) -> tuple[Tensor, Tensor | None]:
    """Return ``data`` and, if it is there, ``label``."""
    check_size(path)
    try:
        import h5py
    except ImportError as error:
        raise UsageError(f"{path} is read by the package h5py: pip install 'ddcore[formats]'") from error
    try:
        with h5py.File(path, "r") as file:
            return _tensor(file, "data", path), _tensor(file, "label", path) if "label" in file else None
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as error:
        raise DDCoreError(f"{path} is not a readable HDF5 file: truncated, damaged, or of another format") from error


def _tensor(file: h5py.File, name: str, path: Path) -> Tensor:
    """Return one array of numbers that lies in the file itself."""
    import h5py

    # A link, an external or a virtual array would make the library open a path that the file names.
    link = file.get(name, getlink=True)
    held = file[name] if isinstance(link, h5py.HardLink) else None
    require(
        isinstance(held, h5py.Dataset) and not held.is_virtual and not held.external,
        f"{path} holds no array '{name}' of its own (it has: {', '.join(map(str, list(file)[:8]))[:200]})",
        DDCoreError,
    )
    assert isinstance(held, h5py.Dataset)
    require(held.dtype.kind in "fiu", f"'{name}' in {path} is an array of {held.dtype}, not of numbers", DDCoreError)
    check_bytes(held.size * 8, f"'{name}' in {path}")
    return torch.from_numpy(np.ascontiguousarray(held[()], dtype=np.float32))


FORMAT = Format(
    name="rat-bptt",
    title="RaT-BPTT",
    kinds=("images",),
    layout="one HDF5 file with `data` float32 `(N, C H W)`, `epoch`, and with learned labels `label` float32 `(N, K)`; "
    "without labels, N / K members of each class stand one after the other",
    recognises=recognises,
    read=read,
    write=None,
    normalisation="rat-bptt",
    lacks="class names, recipe, provenance; whether the images are ZCA-whitened, as in the command of its README. That "
    "whitening divides each image by its own norm first, so that `--zca FILE` can undo its linear part alone",
    rounding="images to the rounding of float32; learned labels become probabilities (below 0 counts as 0)",
    source="fengyzpku/Simple_Dataset_Distillation, `framework/base.py` and `framework/config.py`",
)
