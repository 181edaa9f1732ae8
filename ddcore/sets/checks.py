"""What a set that was read must be: the shape of set.json, and parts that do not contradict one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ddcore.data import Tokens
from ddcore.errors import require
from ddcore.runtime import Schema

if TYPE_CHECKING:
    from ddcore.sets.distilled_set import DistilledSet

RECORD: Schema = {
    "kind": str,
    "members": int,
    "temperature": float,
    "dataset": str,
    "classes": [str],
    "method": str,
    "sha256": str,
    "record_sha256?": str,
    "options?": dict,
    "provenance?": dict,
    "recipes?": {"*": dict},
    "mean?": [float],
    "std?": [float],
    "max_tokens?": int,
    "ordered?": bool,
    "factor?": int,
    "tiles?": int,
    "schedule?": (
        {"net": str, "rule": {"optimiser?": str, "*": float}, "start": str, "poison": ([int], None)},
        None,
    ),
    "data?": {"content": str, "vocabulary": str},
    "embedding?": ({"name": str, "net": str}, None),
}
"""The shape of set.json, after its ``format``."""
KINDS = ("images", "tokens", "embeddings")


def check_set(loaded: DistilledSet, members: int) -> None:
    """Check that the parts of a set that was read agree; no tensor is taken to have the right shape.

    Args:
        loaded: the set.
        members: their number in set.json.

    Raises:
        UsageError: two parts contradict one another, or one cannot be used.
    """
    y, k, x = loaded.y, len(loaded.classes), loaded.x
    require(loaded.kind in KINDS, f"unknown kind '{loaded.kind}'")
    require(y.dtype == torch.int64 and y.ndim == 1 and len(y) > 0, "labels are not a row of int64")
    n, inputs = len(y), (x.offsets.shape[:1].numel() - 1 if isinstance(x, Tokens) else x.shape[:1].numel())
    require(n == members == inputs, f"set.json says {members} members, the tensors hold {inputs} inputs and {n} labels")
    require(int(y.min()) >= 0 and int(y.max()) < k, f"a label lies outside the {k} classes")
    if loaded.soft is not None:
        require(loaded.soft.shape == (n, k) and _finite(loaded.soft), f"soft labels are not {n} x {k} finite numbers")
    if loaded.indices is not None:
        sound = loaded.indices.shape == (n,) and loaded.indices.dtype == torch.int64
        require(sound and int(loaded.indices.min()) >= 0, f"the places of the members are not {n} numbers from 0")
    sources = n if loaded.kind == "tokens" else 0
    require(len(loaded.texts) in (0, sources), f"there are {len(loaded.texts)} source texts, not {sources}")
    if loaded.schedule is not None:
        require(not (fault := loaded.schedule.fault(n, k)), fault)
    regression = loaded.temperature == 0 and loaded.soft is not None
    require(loaded.temperature > 0 or regression, "the temperature is not positive")
    require(loaded.origin.factor >= 1, f"stored images of {loaded.origin.factor} tiles per side hold no members")
    require(loaded.origin.tiles >= 1, f"members of {loaded.origin.tiles} images per side show nothing")
    require(loaded.max_tokens >= 0, "the longest text has fewer than no tokens")
    require(
        (loaded.kind == "embeddings") == (loaded.embedding is not None),
        "word vectors are there without need, or missing",
    )
    if isinstance(x, Tokens):
        require(_sound_tokens(x), "token offsets do not fit the tokens")
    elif loaded.embedding is not None:
        length = loaded.embedding.table.shape[1]
        sound = x.ndim == 3 and x.shape[2] == length and x.numel() > 0 and x.dtype == torch.float32 and _finite(x)
        require(sound, f"members are not (N, L, {length}) finite float32")
    else:
        _check_images(loaded, x)


def _check_images(loaded: DistilledSet, x: Tensor) -> None:
    require(x.ndim == 4 and x.dtype in (torch.uint8, torch.float32), "images are not (N, C, H, W) uint8 or float32")
    require(x.numel() > 0 and x.shape[1] in (1, 3), f"images of shape {tuple(x.shape[1:])} have no 1 or 3 channels")
    require(len(loaded.mean) == len(loaded.std) == x.shape[1], "normalisation constants do not fit the channels")
    require(min(loaded.std) > 0, "a standard deviation of the normalisation is not positive")
    require(x.dtype == torch.uint8 or _finite(x), "an image holds a value that is not finite")


def _sound_tokens(x: Tokens) -> bool:
    ends, values = x.offsets, x.values
    whole = ends.dtype == torch.int64 and values.dtype in (torch.int32, torch.int64)
    if not (whole and ends.ndim == values.ndim == 1):
        return False
    inside = int(ends[0]) == 0 and int(ends[-1]) == len(values) and bool((ends.diff() >= 0).all())
    return inside and bool((values >= 0).all())


def _finite(x: Tensor) -> bool:
    return x.is_floating_point() and bool(x.isfinite().all())
