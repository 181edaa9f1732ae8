"""The files of IDC, DREAM and NCFM: images and class numbers, several images to decode from each."""

import re
from pathlib import Path

from ddcore.data import Task
from ddcore.errors import DDCoreError, require
from ddcore.sets.formats.class_labels import class_numbers
from ddcore.sets.formats.contract import Format, Members
from ddcore.sets.formats.torch_file import load, tensor

NAME = re.compile(r"data(_\w+)?\.pt")


def recognises(path: Path) -> bool:
    """Return whether a file has the name that these tools give it."""
    return path.is_file() and NAME.fullmatch(path.name) is not None


def read(path: Path, task: Task) -> Members:
    """Return the images that are stored, before they are decoded."""
    content = load(path)
    pair = isinstance(content, list | tuple) and len(content) == 2
    require(pair, f"{path} is not a pair of images and class numbers", DDCoreError)
    y = class_numbers(tensor(content[1], f"the labels in {path}"), path)
    x = tensor(content[0], f"the images in {path}")
    require(x.is_floating_point(), f"the images in {path} are {x.dtype}, not floats from 0 to 1", DDCoreError)
    return Members(x, y)


FORMAT = Format(
    name="idc",
    title="IDC, DREAM, NCFM",
    kinds=("images",),
    layout="one file `data.pt` or `data_ITERATION.pt` of `torch.save`: a pair of images float32 `(N, C, H, W)` from 0 "
    "to 1 and class numbers int64 `(N,)`; with `--factor F` each image is a grid of F x F small ones, which "
    "are enlarged on import (class V: multi-formation)",
    recognises=recognises,
    read=read,
    write=None,
    normalisation="none",
    lacks="the factor, soft labels, class names, recipe, provenance",
    rounding="decoded images to the rounding of float32",
    source="snu-mllab/Efficient-Dataset-Condensation, `condense.py` and `test.py`; gszfwsb/NCFM, `utils/ddp.py` and "
    "`condenser/decode.py`",
)
