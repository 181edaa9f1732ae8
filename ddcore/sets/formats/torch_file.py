"""Tensors in files that `torch.save` wrote: the only place of ddcore where a pickle is read, and never executed.

`torch.load` with ``weights_only`` builds tensors, numbers, texts, lists and dicts, and refuses every other name in the
file. Real files of DC hold NumPy's float64 beside the tensors. Its two names are allowed, but they stand for the two
small functions below, which return a Python number: NumPy's own would accept a dtype of objects, whose bytes are
addresses.
"""

import io
import re
import struct
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddcore.errors import DDCoreError, require
from ddcore.runtime import write_atomic
from ddcore.sets.formats.limits import check_bytes, check_size

# Type of a NumPy number in a pickle, and its form for the struct module.
NUMBERS = {"f2": "e", "f4": "f", "f8": "d", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "b1": "?"}
# As NumPy 2 and NumPy 1 call the function that makes a number.
SCALAR = ("numpy._core.multiarray.scalar", "numpy.core.multiarray.scalar")


class NumberType:
    """What a pickle says of a NumPy type, in place of ``numpy.dtype``."""

    def __init__(self, name: object, *_: object) -> None:
        self.name, self.order = name, "<"

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|"):
            self.order = "<" if state[1] == "|" else state[1]


def number(kind: object, content: object) -> float:
    """Return the number of a NumPy scalar in a pickle.

    Raises:
        ValueError: it is none.
    """
    name = kind.name if isinstance(kind, NumberType) else None
    if not isinstance(kind, NumberType) or not isinstance(name, str) or not isinstance(content, bytes):
        raise ValueError("a NumPy value is not a number")
    if name not in NUMBERS:
        raise ValueError(f"a NumPy value of type {_shown(name)} is not a number")
    return float(struct.unpack(kind.order + NUMBERS[name], content)[0])


def load(path: Path) -> Any:
    """Return what `torch.save` wrote: tensors, numbers, texts, lists, tuples and dicts of them, on the CPU.

    Raises:
        DDCoreError: the file is missing, too large, damaged or no such file, or names anything else.
    """
    check_size(path)
    allowed: list[Any] = [(NumberType, "numpy.dtype"), *((number, name) for name in SCALAR)]
    try:
        with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds, by version and damage
        raise DDCoreError(f"{path} is refused: {_reason(path, error)}") from error


def tensor(value: object, what: str) -> Tensor:
    """Return a value of a file as a dense tensor that needs no gradient.

    Args:
        value: part of what `load` returned.
        what: it should be, for the message.

    Raises:
        DDCoreError: it is no tensor of numbers, or, written out, more than `MOST_BYTES`.
    """
    require(isinstance(value, Tensor), f"{what} is not a tensor but {_shown(type(value).__name__)}", DDCoreError)
    assert isinstance(value, Tensor)
    plain = value.layout == torch.strided and not value.is_quantized and not value.is_complex()
    require(plain and value.device.type == "cpu", f"{what} is a tensor of another kind than numbers", DDCoreError)
    check_bytes(value.numel() * value.element_size(), what)
    return value.detach()


def save(value: Any, path: Path) -> None:
    """Write tensors, numbers, texts, lists and dicts as `torch.save` does, atomically.

    Raises:
        DDCoreError: the folder cannot be written.
    """
    content = io.BytesIO()
    torch.save(value, content)
    write_atomic(path, content.getvalue())


def _reason(path: Path, error: Exception) -> str:
    """Return in a few words why torch refused a file."""
    text = str(error)
    name = re.search(r"(?:GLOBAL|class|function|global:?)\s+`?([\w.]+\.[\w.]+)", text)
    if name and "weights" in text.lower():
        return f"it names {_shown(name[1])}, and only tensors, numbers, texts and lists are read; no pickle is executed"
    if isinstance(error, MemoryError) or "memory" in text:
        return "it asks for more memory than there is"
    with open(path, "rb") as file:
        plain = file.read(1) == b"\x80"
    what = "a pickle, which is not executed" if plain else "no file of torch.save, or damaged"
    return f"it is {what}"


def _shown(name: str) -> str:
    return re.sub(r"[^\w.]", "?", name)[:80]
