"""A set as a person looks at it: a grid of images, PNG files with labels.csv, or readable text."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ddcore.data import Tokens, readable, save_tokeniser
from ddcore.errors import DDCoreError, require
from ddcore.runtime import check_empty, file_names, write_atomic
from ddcore.sets.distilled_set import DistilledSet

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SHOWN_PER_CLASS = 10
MAX_TEXTS = 1000


def write_views(small: DistilledSet, folder: Path, tokeniser: Tokenizer | None = None) -> None:
    """Write what a person looks at beside the set.

    For images ``grid.png``; for texts ``members.txt`` (synthetic ones by the words nearest to their vectors) and
    ``tokeniser.json``, so that the set is of use without the real one.

    Args:
        small: the set.
        folder: where it was saved.
        tokeniser: the one that its ids come from; None for images.

    Raises:
        DDCoreError: the folder cannot be written.
    """
    if small.kind == "images":
        write_atomic(folder / "grid.png", grid_png(small))
    elif tokeniser is not None:
        write_atomic(folder / "members.txt", members_text(small, tokeniser).encode())
        save_tokeniser(tokeniser, folder / "tokeniser.json")


def members_text(small: DistilledSet, tokeniser: Tokenizer) -> str:
    """Return the members as text, each under a line with its number, class and length; at most `MAX_TEXTS`."""
    x = tokens_of(small)[torch.arange(min(len(small), MAX_TEXTS))]
    texts, lengths = readable(tokeniser, x), x.lengths.tolist()
    parts = [f"[{i}] {small.classes[int(small.y[i])]}, {lengths[i]} tokens\n{text}\n" for i, text in enumerate(texts)]
    if len(small) > MAX_TEXTS:
        parts.append(f"… and {len(small) - MAX_TEXTS} more in set.safetensors\n")
    return "\n".join(parts)


def tokens_of(small: DistilledSet) -> Tokens:
    """Return the members of a set of texts as tokens, synthetic ones as the words nearest to their vectors."""
    if isinstance(small.x, Tokens):
        return small.x
    assert small.embedding is not None
    n, length = small.x.shape[:2]
    return Tokens(small.embedding.nearest(small.x.flatten(0, 1)).int(), torch.arange(n + 1) * length)


def pixels(small: DistilledSet) -> np.ndarray:
    """Return all images as ``(N, H, W)`` or ``(N, H, W, 3)`` uint8."""
    x = small.x
    assert isinstance(x, Tensor)
    if x.dtype != torch.uint8:
        x = (small.scale.pixels(x) * 255).round().to(torch.uint8)
    pictures = x.permute(0, 2, 3, 1).numpy()
    return pictures[..., 0] if pictures.shape[-1] == 1 else pictures


def grid_png(small: DistilledSet, per_class: int = SHOWN_PER_CLASS) -> bytes:
    """Return a PNG with one row per class, the name beside it, and its first `per_class` members."""
    from matplotlib.figure import Figure

    pictures = pixels(small)
    classes = len(small.classes)
    columns = min(per_class, int(torch.bincount(small.y, minlength=classes).max()))
    width = 1.6 + 0.62 * columns
    figure = Figure(figsize=(width, 0.64 * classes + 0.1), dpi=110)
    axes = figure.subplots(classes, columns, squeeze=False)
    for row, name in enumerate(small.classes):
        members = (small.y == row).nonzero().flatten().tolist()
        for column in range(columns):
            axis = axes[row, column]
            axis.axis("off")
            if column < len(members):
                axis.imshow(pictures[members[column]], cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
        axes[row, 0].text(-0.15, 0.5, name, transform=axes[row, 0].transAxes, ha="right", va="center", fontsize=9)
    figure.subplots_adjust(left=1.4 / width, right=0.995, top=0.99, bottom=0.01, wspace=0.06, hspace=0.06)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def export_images(small: DistilledSet, folder: Path) -> None:
    """Write every image as ``CLASS/NUMBER.png`` and ``labels.csv`` with its class and label probabilities.

    Args:
        small: the set; each of its classes gets a folder of its own, named by `file_names`.
        folder: to write to; empty, or not there.

    Raises:
        UsageError: the folder holds something, or is a file.
        DDCoreError: the set does not hold images, or the folder cannot be written.
    """
    from PIL import Image

    require(
        small.kind == "images",
        f"the set holds {small.kind}, not images: its members are readable in members.txt",
        DDCoreError,
    )
    check_empty(folder, "choose another --out, or --fresh to put it aside")
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["file", "class", *small.classes])
    names = file_names(small.classes)
    members = zip(pixels(small), small.y.tolist(), small.targets().tolist(), strict=True)
    for i, (picture, y, target) in enumerate(members):
        name = f"{names[y]}/{i:05d}.png"
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, format="PNG")
        write_atomic(folder / name, buffer.getvalue())
        writer.writerow([name, small.classes[y], *(f"{share:.6f}" for share in target)])
    write_atomic(folder / "labels.csv", table.getvalue().encode())
