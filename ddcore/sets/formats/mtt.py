"""The folders of MTT and TESLA: images and labels of the best iteration."""

from pathlib import Path

import torch

from ddcore.data import Task
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.formats.class_labels import class_numbers, soft_of
from ddcore.sets.formats.contract import Format, Members
from ddcore.sets.formats.folder_files import check_alone, files_of
from ddcore.sets.formats.normalisation import normalised, peer_scale
from ddcore.sets.formats.torch_file import load, save, tensor

IMAGES, LABELS = "images_best.pt", "labels_best.pt"


def recognises(path: Path) -> bool:
    """Return whether a folder holds the two files, and no rate as that of DATM."""
    return files_of(path) >= {IMAGES, LABELS} and "lr_best.pt" not in files_of(path)


def read(path: Path, task: Task) -> Members:
    """Return the set in a folder; labels are class numbers, or probabilities of TESLA."""
    check_alone(path, (IMAGES, LABELS))
    x = tensor(load(path / IMAGES), f"the content of {path / IMAGES}")
    labels = tensor(load(path / LABELS), f"the content of {path / LABELS}")
    if labels.ndim != 2:
        return Members(x, class_numbers(labels, path / LABELS))
    y = labels.argmax(-1)
    return Members(x, y, soft_of(labels, y, path / LABELS))


def write(small: DistilledSet, folder: Path) -> None:
    """Write the two files; soft labels as probabilities, as TESLA has them."""
    assert isinstance(small.x, torch.Tensor)
    save(normalised(small.x, small.scale, peer_scale("mtt", small)), folder / IMAGES)
    save(small.y if small.soft is None else small.targets(), folder / LABELS)


FORMAT = Format(
    name="mtt",
    title="MTT, TESLA",
    kinds=("images",),
    layout=f"a folder with `{IMAGES}` and `{LABELS}` alone, both of `torch.save`: images float32 `(N, C, H, W)`; "
    "labels int64 `(N,)`, or of TESLA float32 probabilities `(N, K)`",
    recognises=recognises,
    read=read,
    write=write,
    normalisation="mtt",
    lacks="whether the images are ZCA-whitened (`--zca FILE`), the learned learning rate, class names, recipe, "
    "schedule, provenance; the label temperature (probabilities are written); of soft labels, the classes of members "
    "(the most probable ones are taken)",
    rounding="pixels of real members exact; other images and probabilities to the rounding of float32 (a probability "
    "below 1e-7 becomes 1e-7)",
    source="GeorgeCazenavette/mtt-distillation, `distill.py`; justincui03/tesla, `distill.py`",
)
