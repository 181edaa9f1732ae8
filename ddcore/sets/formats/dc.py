"""The files of DC, DSA and DM: one ``.pt`` with the sets of all experiments, of which the last one counts."""

import re
from pathlib import Path

import torch

from ddcore.data import Task
from ddcore.errors import DDCoreError, require
from ddcore.runtime import file_name
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.formats.class_labels import class_numbers
from ddcore.sets.formats.contract import Format, Members
from ddcore.sets.formats.normalisation import normalised, peer_scale
from ddcore.sets.formats.peer_names import peer_name
from ddcore.sets.formats.torch_file import load, save, tensor

NAME = re.compile(r"res_(?:(DC|DSA|DM)_)?\w+_\d+ipc\.pt")


def recognises(path: Path) -> bool:
    """Return whether a file has the name that these tools give it."""
    return path.is_file() and NAME.fullmatch(path.name) is not None


def read(path: Path, task: Task) -> Members:
    """Return the last set in a file."""
    content = load(path)
    require(isinstance(content, dict) and "data" in content, f"{path} holds no dict with 'data'", DDCoreError)
    sets = content["data"]
    require(isinstance(sets, list | tuple) and len(sets) > 0, f"'data' in {path} is not a list of sets", DDCoreError)
    last = sets[-1]
    pair = isinstance(last, list | tuple) and len(last) == 2
    require(pair, f"the last set in {path} is not a pair of images and labels", DDCoreError)
    name = NAME.fullmatch(path.name)
    return Members(
        x=tensor(last[0], f"the images in {path}"),
        y=class_numbers(tensor(last[1], f"the labels in {path}"), path),
        method=(name[1] or "dc").lower() if name else "",
        options={"sets": len(sets)} if len(sets) > 1 else {},
        notes=(f"the last of {len(sets)} sets in the file",) if len(sets) > 1 else (),
    )


def write(small: DistilledSet, folder: Path) -> None:
    """Write one set as ``res_METHOD_DATASET_ConvNet_Nipc.pt``."""
    x = small.x
    assert isinstance(x, torch.Tensor)
    ipc = int(torch.bincount(small.y).max())
    name = file_name(f"res_{small.method.upper()}_{peer_name(small.dataset)}_ConvNet_{ipc}ipc.pt")
    images = normalised(x, small.scale, peer_scale("dc", small))
    save({"data": [[images, small.y]], "accs_all_exps": {}}, folder / name)


FORMAT = Format(
    name="dc",
    title="DC, DSA, DM",
    kinds=("images",),
    layout="one file `res_METHOD_DATASET_MODEL_Nipc.pt` of `torch.save`: a dict whose `data` is a list of "
    "`[images, labels]`, one per experiment (the last one is read), and `accs_all_exps`; images float32 "
    "`(N, C, H, W)`, labels int64 `(N,)`",
    recognises=recognises,
    read=read,
    write=write,
    normalisation="dc",
    lacks="soft labels, class names, recipe, schedule, provenance",
    rounding="pixels of real members exact; other images to the rounding of float32",
    source="VICO-UoE/DatasetCondensation, `main.py`",
)
