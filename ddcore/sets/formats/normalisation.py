"""The normalisations of other tools: what their float images mean on the 0–1 pixel scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ddcore.data import Scale, Task
from ddcore.errors import UsageError, require

if TYPE_CHECKING:
    from ddcore.sets.distilled_set import DistilledSet

CHUNK = 1000
"""Images that are converted at a time: float64 takes twice the memory of the file."""
LEVEL = 1e-3
"""How far an image value may lie from a whole level of 0 to 255 to be taken for it."""

_CIFAR = Scale((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
_DC = {
    "mnist": Scale((0.1307,), (0.3081,)),
    "fashion_mnist": Scale((0.2861,), (0.3530,)),
    "svhn": Scale((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
    "cifar10": _CIFAR,
    "cifar100": Scale((0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762)),
}
# One line per tool: its constants by data set, as its repository has them.
NORMALISATIONS: dict[str, dict[str, Scale]] = {
    "dc": _DC,  # VICO-UoE/DatasetCondensation, utils.py
    "mtt": {**_DC, "cifar100": _CIFAR},  # GeorgeCazenavette/mtt-distillation, utils.py; the others as its parent, DC
    "rat-bptt": {  # fengyzpku/Simple_Dataset_Distillation, framework/config.py
        "mnist": Scale((0.0,), (1.0,)),
        "cifar10": _CIFAR,
        "cifar100": Scale((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    },
}
NAMES = (*NORMALISATIONS, "data", "none")


def scale_of(text: str, task: Task) -> Scale:
    """Return a normalisation by its name or its numbers.

    Args:
        text: one of `NORMALISATIONS`; ``data``, the constants of the data set's own training pixels; ``none``, images
            from 0 to 1; or the mean of each channel and then each standard deviation, with commas between.
        task: the data set.

    Raises:
        UsageError: there is no such name, the tool has no constants for the data set, or the numbers do not fit.
    """
    channels = task.shape[0]
    if text == "data":
        return Scale(task.mean, task.std)
    if text == "none":
        return Scale((0.0,) * channels, (1.0,) * channels)
    if text in NORMALISATIONS:
        known = NORMALISATIONS[text]
        require(
            task.name in known,
            f"{text} has no constants for {task.name}: give --normalisation data, none or MEAN,STD",
        )
        return known[task.name]
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError as error:
        raise UsageError(f"unknown normalisation '{text}'; known: {', '.join(NAMES)} or MEAN,STD") from error
    require(
        len(values) == 2 * channels and min(values[channels:]) > 0 and all(abs(value) < 1e6 for value in values),
        f"--normalisation {text}: {channels} means and {channels} positive standard deviations are needed",
    )
    return Scale(tuple(values[:channels]), tuple(values[channels:]))


def peer_scale(name: str, small: DistilledSet) -> Scale:
    """Return the normalisation of a tool for a set that is exported; the set's own if the tool does not know the data.

    Args:
        name: one of `NORMALISATIONS`.
        small: the set.
    """
    return NORMALISATIONS[name].get(small.dataset, small.scale)


def pixels_of(x: Tensor, scale: Scale) -> Tensor:
    """Return normalised images on the 0–1 pixel scale, not clamped: ``(N, C, H, W)`` float64."""
    mean, std = (torch.tensor(values, dtype=torch.float64).view(-1, 1, 1) for values in (scale.mean, scale.std))
    return x.double() * std + mean


def converted(x: Tensor, scale: Scale, target: Scale) -> Tensor:
    """Return images in another normalisation.

    Args:
        x: ``(N, C, H, W)`` floats in the normalisation `scale`.
        scale, target: from and to.

    Returns:
        uint8 pixels if all values are whole levels, as those of real members; otherwise float32 in `target`, equal to
        the exact values within the rounding of float32.
    """
    parts, whole = [], True
    for part in x.split(CHUNK):
        levels = pixels_of(part, scale) * 255
        near = levels.round()
        whole = whole and bool(((levels - near).abs() < LEVEL).all() and near.min() >= 0 and near.max() <= 255)
        if not whole:
            break
        parts.append(near.byte())
    if whole:
        return torch.cat(parts)
    mean, std = (torch.tensor(values, dtype=torch.float64).view(-1, 1, 1) for values in (target.mean, target.std))
    return torch.cat([((pixels_of(part, scale) - mean) / std).float() for part in x.split(CHUNK)])


def normalised(x: Tensor, scale: Scale, target: Scale) -> Tensor:
    """Return images of a set in the normalisation of a tool: ``(N, C, H, W)`` float32.

    Args:
        x: uint8 pixels, or floats in the normalisation `scale`.
        scale: of the set.
        target: of the tool. Pixels become what torchvision's ToTensor and Normalize make of them, to the bit.
    """
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (target.mean, target.std))
    if x.dtype == torch.uint8:
        return (x.float() / 255 - mean) / std
    if (scale.mean, scale.std) == (target.mean, target.std):
        return x
    return torch.cat([((pixels_of(part, scale) - mean.double()) / std.double()).float() for part in x.split(CHUNK)])
