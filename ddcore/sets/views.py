"""A set as a person looks at it: a grid of images, or readable text."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ddcore.data import Tokens, readable, save_tokeniser
from ddcore.runtime import write_atomic
from ddcore.sets.distilled_set import DistilledSet

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SHOWN_PER_CLASS, SHOWN_CLASSES = 10, 100
MAX_TEXTS = 1000
# Pixels of a grid, pixels between its classes, and letters of a class's name in it.
MOST_PIXELS, GAP, LETTERS = 2**24, 10, 40


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


def pixels(small: DistilledSet, members: Sequence[int] | slice = slice(None)) -> np.ndarray:
    """Return images as ``(N, H, W)`` or ``(N, H, W, 3)`` uint8: all of them, or those of some members."""
    x = small.x
    assert isinstance(x, Tensor)
    x = x[members]
    if x.dtype != torch.uint8:
        x = (small.scale.pixels(x) * 255).round().to(torch.uint8)
    pictures = x.permute(0, 2, 3, 1).numpy()
    return pictures[..., 0] if pictures.shape[-1] == 1 else pictures


def grid_png(small: DistilledSet, columns: int = SHOWN_PER_CLASS, lines: int = 1) -> bytes:
    """Return a PNG with `lines` rows of members per class, at most `columns` in each, and the class's name beside them.

    Time and memory are bounded: at most `SHOWN_CLASSES` classes are shown, the first ones, and of large images only
    every second, third … pixel.
    """
    names = [f"{name[:LETTERS]}…" if len(name) > LETTERS else name for name in small.classes[:SHOWN_CLASSES]]
    most = int(torch.bincount(small.y).max())
    columns = min(columns, most)
    lines = min(lines, -(-most // columns))
    shown = [(small.y == c).nonzero().flatten().tolist()[: columns * lines] for c in range(len(names))]
    pictures = pixels(small, [member for members in shown for member in members])
    scale, stride = _enlarged(pictures.shape[1:3], lines * len(names) * columns)
    pictures = pictures[:, ::stride, ::stride]
    height, width = (side * scale for side in pictures.shape[1:3])
    block = lines * (height + 2) + GAP
    more = 3 * GAP if len(small.classes) > len(names) else 0
    size = block * len(names) - GAP + more, columns * (width + 2)
    canvas = np.full((*size, *pictures.shape[3:]), 255, dtype=np.uint8)
    places = ((c, place) for c, members in enumerate(shown) for place in range(len(members)))
    for picture, (c, place) in zip(pictures, places, strict=True):
        top, left = c * block + place // columns * (height + 2), place % columns * (width + 2)
        large = picture.repeat(scale, 0).repeat(scale, 1)
        canvas[top : top + height, left : left + width] = large if large.ndim == 3 else 255 - large
    middles = [c * block + (block - GAP) / 2 for c in range(len(names))]
    if more:
        names.append(f"… {len(small.classes) - SHOWN_CLASSES} more")
        middles.append(size[0] - GAP)
    return _labelled(canvas, names, middles, max(9, min(24, block // 3)))


def _enlarged(shape: tuple[int, ...], count: int) -> tuple[int, int]:
    """Return by how much to enlarge images of a shape, and of how many pixels to show one, so that `count` fit."""
    scale, stride = max(1, round(56 / shape[1])), 1
    while count * math.prod(side * scale // stride + 2 for side in shape) > MOST_PIXELS:
        scale, stride = (scale - 1, stride) if scale > 1 else (scale, stride + 1)
    return scale, stride


def _labelled(canvas: np.ndarray, names: Sequence[str], middles: Sequence[float], size: int) -> bytes:
    """Return a picture as PNG, pixel by pixel, with names on its left at some heights, in pixels from its top."""
    import matplotlib
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from PIL import Image

    dpi = 100
    margin = int(size * dpi / 72 * 0.62 * max(map(len, names))) + 24
    height, width = canvas.shape[:2]
    # Only the names are drawn: a figure of the whole takes a hundred bytes per pixel. "$0_$50" is no formula.
    with matplotlib.rc_context({"text.parse_math": False}):
        figure = Figure(figsize=(margin / dpi, height / dpi), dpi=dpi)
        for name, middle in zip(names, middles, strict=True):
            place = (margin - 14) / margin, 1 - middle / height
            figure.text(*place, name, ha="right", va="center", fontsize=size)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="rgba")
    drawn = np.full((height, margin + width, 4), 255, np.uint8)
    drawn[:, :margin] = np.frombuffer(buffer.getvalue(), np.uint8).reshape(height, margin, 4)
    if canvas.ndim == 2:
        canvas = matplotlib.colormaps["gray"](Normalize(0, 255)(np.arange(256)), bytes=True)[canvas][..., :3]
    drawn[:, margin:, :3] = canvas
    buffer = io.BytesIO()
    Image.fromarray(drawn).save(buffer, format="PNG", dpi=(dpi, dpi))
    return buffer.getvalue()
