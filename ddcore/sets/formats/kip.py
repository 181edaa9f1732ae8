"""The files of KIP: NHWC images and centred labels in ``.npz``."""

from pathlib import Path

import numpy as np
from torch import Tensor

from ddcore.data import Task
from ddcore.errors import DDCoreError, require
from ddcore.runtime import file_name
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.formats.class_labels import class_numbers, from_regression
from ddcore.sets.formats.contract import Format, Members
from ddcore.sets.formats.normalisation import normalised
from ddcore.sets.formats.npz_file import load_arrays, save_arrays


def recognises(path: Path) -> bool:
    """Return whether a file has this suffix."""
    return path.is_file() and path.suffix.lower() == ".npz"


def read(path: Path, task: Task) -> Members:
    """Return the set in a file; labels are regression targets minus 1 / K, or class numbers."""
    arrays = load_arrays(path, ("images", "labels"))
    x, labels = arrays["images"], arrays["labels"]
    require(x.ndim == 4, f"the images in {path} have the shape {tuple(x.shape)}, not (N, H, W, C)", DDCoreError)
    x = x.permute(0, 3, 1, 2).contiguous()
    if labels.ndim == 1:
        return Members(x, class_numbers(labels, path))
    targets = _uncentred(labels.double(), path)
    y, soft = from_regression(targets, path)
    return Members(x, y) if soft is None else Members(x, y, (targets - 1 / targets.shape[1]).float(), temperature=0.0)


def write(small: DistilledSet, folder: Path) -> None:
    """Write ``METHOD_DATASET_N.npz``, normalised by the constants of the data set as KIP does."""
    assert isinstance(small.x, Tensor)
    images = normalised(small.x, small.scale, small.scale).permute(0, 2, 3, 1).contiguous()
    regression = small.examples().regression
    labels = small.targets() - 1 / len(small.classes) if regression is None else regression
    name = file_name(f"{small.method}_{small.dataset}_{len(small)}.npz")
    save_arrays({"images": images.numpy(), "labels": labels.numpy().astype(np.float32)}, folder / name)


def _uncentred(labels: Tensor, path: Path) -> Tensor:
    """Return regression targets with 1 / K added, if they were centred: a hard label is 1 - 1 / K and -1 / K."""
    require(labels.ndim == 2, f"the labels in {path} have the shape {tuple(labels.shape)}, not (N, K)", DDCoreError)
    centred = bool(labels.sum(1).mean() < 0.5)
    return labels + 1 / labels.shape[1] if centred else labels


FORMAT = Format(
    name="kip",
    title="KIP",
    kinds=("images",),
    layout="one `.npz` with `images` float32 `(N, H, W, C)`, normalised by the mean and standard deviation of the "
    "training pixels, and `labels` float32 `(N, K)`: one-hot minus 1 / K, or learned regression targets minus 1 / K "
    "(class numbers `(N,)` are read, too)",
    recognises=recognises,
    read=read,
    write=write,
    normalisation="data",
    lacks="whether the images are ZCA-whitened, class names, recipe, schedule, provenance; the label temperature "
    "(probabilities are written, but regression targets as they are); of soft labels, the classes of members (the most "
    "probable ones are taken)",
    rounding="images, probabilities and learned targets to the rounding of float32, pixels of real members exact",
    source="google-research/google-research, `kip/dataset.ipynb` and `kip/nn_training.ipynb`",
)
