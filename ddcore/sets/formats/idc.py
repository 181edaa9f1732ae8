"""The files of IDC, DREAM and NCFM: images and class numbers, several images to decode from each."""

import re
from pathlib import Path

import torch

from ddcore.data import Scale, Task
from ddcore.errors import DDCoreError, UsageError, require
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.formats.class_labels import class_numbers
from ddcore.sets.formats.contract import Format, Members
from ddcore.sets.formats.normalisation import normalised
from ddcore.sets.formats.torch_file import load, save, tensor
from ddcore.sets.multi_formation import encoded, enlarged, slots_of

NAME = re.compile(r"data(_\w+)?\.pt")
APART = 1e-4
"""Of decoded images, what the rounding of float32 may change of a number, in ranges from black to white."""


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


def write(small: DistilledSet, folder: Path) -> None:
    """Write ``data.pt``; of a set by multi-formation the images that its members are decoded from."""
    assert isinstance(small.x, torch.Tensor)
    channels, y, factor = small.x.shape[1], small.y, small.origin.factor
    x = normalised(small.x, small.scale, Scale((0.0,) * channels, (1.0,) * channels))
    if factor > 1:
        line = f"the members are not those of whole stored images of {factor}x{factor} tiles"
        try:
            places = slots_of(y, factor)
        except UsageError as error:
            raise DDCoreError(line) from error
        members = x[places]
        x, y = encoded(members, factor), y[places[0]]
        require(bool((enlarged(x, factor) - members).abs().max() < APART), line, DDCoreError)
    save([x, y], folder / "data.pt")


FORMAT = Format(
    name="idc",
    title="IDC, DREAM, NCFM",
    kinds=("images",),
    layout="one file `data.pt` or `data_ITERATION.pt` of `torch.save`: a pair of images float32 `(N, C, H, W)` from 0 "
    "to 1 and class numbers int64 `(N,)`; with `--factor F` each image is a grid of F x F small ones, which "
    "are enlarged on import (class V: multi-formation); a set of ours by `--factor` is written as its stored images",
    recognises=recognises,
    read=read,
    write=write,
    normalisation="none",
    lacks="the factor, soft labels, class names, recipe, schedule, provenance",
    rounding="pixels of real members exact; other images, decoded ones too, to the rounding of float32",
    source="snu-mllab/Efficient-Dataset-Condensation, `condense.py` and `test.py`; gszfwsb/NCFM, `utils/ddp.py` and "
    "`condenser/decode.py`",
)
