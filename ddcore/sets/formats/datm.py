"""The folders of DATM: images, logits of soft labels, and the learned learning rate."""

from pathlib import Path

import torch

from ddcore.data import Task
from ddcore.errors import DDCoreError, require
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.formats.contract import Format, Members
from ddcore.sets.formats.folder_files import check_alone, files_of
from ddcore.sets.formats.normalisation import normalised, peer_scale
from ddcore.sets.formats.torch_file import load, save, tensor

IMAGES, LABELS, RATE = "images_best.pt", "labels_best.pt", "lr_best.pt"
USUAL_RATE = 0.01


def recognises(path: Path) -> bool:
    """Return whether a folder holds the three files."""
    return files_of(path) >= {IMAGES, LABELS, RATE}


def read(path: Path, task: Task) -> Members:
    """Return the set in a folder; the class of a member is the most probable one."""
    check_alone(path, (IMAGES, LABELS, RATE))
    x = tensor(load(path / IMAGES), f"the content of {path / IMAGES}")
    logits = tensor(load(path / LABELS), f"the content of {path / LABELS}")
    sound = logits.ndim == 2 and logits.is_floating_point()
    line = f"{path / LABELS} has labels of shape {tuple(logits.shape)}, not logits (N, K): --format mtt reads classes"
    require(sound, line, DDCoreError)
    rate = load(path / RATE)
    number = float(rate) if isinstance(rate, float | int) else _single(rate, path / RATE)
    require(0 < number < 1e6, f"the learning rate in {path / RATE} is {number}", DDCoreError)
    notes = (f"learning rate {number:.4g} in the file: kept as the set's option lr, and used by no recipe of ddcore",)
    return Members(x, logits.argmax(1), logits.float(), options={"lr": number}, notes=notes)


def write(small: DistilledSet, folder: Path) -> None:
    """Write the three files: logits at temperature 1, and the rate that was imported, otherwise `USUAL_RATE`."""
    examples = small.examples()
    soft = examples.soft
    require(soft is not None, "the set has hard labels, and datm holds soft ones: export it as mtt", DDCoreError)
    assert isinstance(small.x, torch.Tensor) and soft is not None
    rate = small.options.get("lr")
    save(normalised(small.x, small.scale, peer_scale("mtt", small)), folder / IMAGES)
    save(soft / examples.temperature, folder / LABELS)
    save(torch.tensor(rate if isinstance(rate, float) and rate > 0 else USUAL_RATE), folder / RATE)


def _single(rate: object, path: Path) -> float:
    value = tensor(rate, f"the content of {path}")
    require(value.numel() == 1, f"{path} holds {value.numel():,} learning rates, not one", DDCoreError)
    return float(value)


FORMAT = Format(
    name="datm",
    title="DATM",
    kinds=("images",),
    layout=f"a folder with `{IMAGES}`, `{LABELS}` and `{RATE}` alone, all of `torch.save`: images float32 "
    "`(N, C, H, W)`, logits of soft labels float32 `(N, K)` at temperature 1, and one learning rate",
    recognises=recognises,
    read=read,
    write=write,
    normalisation="mtt",
    lacks="whether the images are ZCA-whitened (`--zca FILE`), hard labels (a set with hard labels is refused), the "
    "classes of members (the most probable ones are taken), class names, recipe, schedule, provenance; without a "
    f"learned rate, {USUAL_RATE} is written",
    rounding="pixels of real members, and logits at temperature 1, exact; other images, and logits at other "
    "temperatures, to the rounding of float32",
    source="NUS-HPC-AI-Lab/DATM, `distill/DATM.py` and `distill/evaluation.py`",
)
