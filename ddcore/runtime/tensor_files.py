"""Large tensors in safetensors files: filled piece by piece, and read without holding them in memory."""

import json
import math
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from ddcore.runtime.files import load_tensors, open_tensors, replacing

Form = tuple[torch.dtype, tuple[int, ...]]
NAMES = {
    torch.int64: "I64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.float16: "F16",
    torch.int16: "I16",
    torch.uint8: "U8",
}
"""What safetensors calls the dtypes that can be mapped, in the order in which their tensors lie in a file."""


@contextmanager
def filling(path: Path, forms: Mapping[str, Form], notes: dict[str, str]) -> Iterator[dict[str, Tensor]]:
    """Give the tensors of a new safetensors file to be filled in a ``with`` block; they take no memory of the process.

    The file gets its name at the end, as with `write_atomic`, and has the same bytes as one of `save_tensors`.

    Args:
        path: of the file.
        forms: dtype, one of `NAMES`, and shape of each tensor, by name.
        notes: texts that are kept with them, at least one.

    Raises:
        DDCoreError: the folder cannot be written, or the disk has no room for the file; an old one is unchanged.
    """
    head: dict[str, object] = {"__metadata__": notes}
    order, place, places = list(NAMES), 0, {}
    for name, (dtype, shape) in sorted(forms.items(), key=lambda form: (order.index(form[1][0]), form[0])):
        end = place + dtype.itemsize * math.prod(shape)
        head[name] = {"dtype": NAMES[dtype], "shape": shape, "data_offsets": [place, end]}
        places[name], place = place, end
    content = json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode()
    content += b" " * (-len(content) % 8)
    begin = 8 + len(content)
    with replacing(path) as file:
        file.write(len(content).to_bytes(8, "little") + content)
        file.flush()
        if place:  # a write to a mapping for which the disk has no room would end the process
            os.posix_fallocate(file.fileno(), begin, place)
        yield {name: mapped(file, *form, offset=begin + places[name], mode="r+") for name, form in forms.items()}


def map_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and notes of a safetensors file; the tensors cannot be written to, and are read when used.

    Raises:
        DDCoreError: the file is missing, truncated or in another format.
    """
    with open_tensors(path, "numpy") as file:  # for ``pt`` it would be mapped as memory that can be written to
        notes = dict(file.metadata() or {})
        with open(path, "rb") as raw:
            size = int.from_bytes(raw.read(8), "little")
            head = json.loads(raw.read(size))
        dtypes = {name: dtype for dtype, name in NAMES.items()}
        tensors = {}
        for name in file.keys():  # noqa: SIM118
            form, offset = head[name], 8 + size + head[name]["data_offsets"][0]
            dtype = dtypes.get(form["dtype"])
            if dtype is None or offset % dtype.itemsize:
                tensors[name] = load_tensors(path)[0][name]
            else:
                tensors[name] = mapped(path, dtype, tuple(form["shape"]), offset=offset)
        return tensors, notes


def mapped(
    file: Path | BinaryIO, dtype: torch.dtype, shape: tuple[int, ...], *, offset: int = 0, mode: str = "r"
) -> Tensor:
    """Return a part of a file as a tensor; its pages are read when they are used, and shared by all processes.

    Args:
        file: which is at least so long.
        dtype, shape: of the tensor.
        offset: where it begins, in bytes.
        mode: ``r``, and to write to the tensor ends the process; ``r+``, and what is written goes to the file.
    """
    if not math.prod(shape):
        return torch.empty(shape, dtype=dtype)
    kind = str(dtype).removeprefix("torch.")
    array = np.memmap(file, np.dtype(kind), mode=mode, offset=offset, shape=shape)  # type: ignore[call-overload]
    with warnings.catch_warnings():  # of PyTorch: that the tensor must not be written to
        warnings.simplefilter("ignore")
        return torch.from_numpy(array)
