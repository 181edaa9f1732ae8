"""The Triton kernels of `class_moments`."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ddcore.kernels.choice import FUSION

MEMBERS, STRIP = 32, 64
CONSTANTS = {"BLOCK_MEMBERS": MEMBERS, "BLOCK_FEATURES": STRIP, **FUSION}


def forward(features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return counts, means and mean squares."""
    features, labels = features.contiguous(), labels.contiguous()
    n, width = features.shape
    counts = features.new_empty(classes, dtype=torch.float32)
    mean, square = (features.new_empty(classes, width, dtype=torch.float32) for _ in range(2))
    grid = (classes, triton.cdiv(width, STRIP))
    forward_kernel[grid](features, labels, counts, mean, square, n, width, **CONSTANTS)
    return counts, mean, square


def backward(features: Tensor, labels: Tensor, counts: Tensor, mean_c: Tensor, square_c: Tensor) -> Tensor:
    """Return the features' cotangents, given those of means and mean squares."""
    features, labels, counts = (each.contiguous() for each in (features, labels, counts))
    n, width = features.shape
    features_c = torch.empty_like(features)
    grid = (triton.cdiv(n, MEMBERS), triton.cdiv(width, STRIP))
    backward_kernel[grid](
        features,
        labels,
        counts,
        mean_c.contiguous(),
        square_c.contiguous(),
        features_c,
        n,
        width,
        len(counts),
        **CONSTANTS,
    )
    return features_c


@triton.jit
def forward_kernel(
    features_ptr,
    labels_ptr,
    counts_ptr,
    mean_ptr,
    square_ptr,
    n_members,
    n_features,
    BLOCK_MEMBERS: tl.constexpr,
    BLOCK_FEATURES: tl.constexpr,
):
    """Write the count of one class and a strip of its moments."""
    k = tl.program_id(0)
    column = tl.program_id(1) * BLOCK_FEATURES + tl.arange(0, BLOCK_FEATURES)
    first, second = tl.zeros([BLOCK_FEATURES], tl.float32), tl.zeros([BLOCK_FEATURES], tl.float32)
    hits = tl.zeros([BLOCK_MEMBERS], tl.int32)
    for begin in range(0, n_members, BLOCK_MEMBERS):
        row = begin + tl.arange(0, BLOCK_MEMBERS)
        mine = (tl.load(labels_ptr + row, mask=row < n_members, other=-1) == k) & (row < n_members)
        # Rows of other classes are masked, so that their features are not read from memory.
        there = mine[:, None] & (column < n_features)[None, :]
        place = row.to(tl.int64)[:, None] * n_features + column[None, :]
        tile = tl.load(features_ptr + place, mask=there, other=0.0).to(tl.float32)  # (BLOCK_MEMBERS, BLOCK_FEATURES)
        first += tl.sum(tile, 0)
        second += tl.sum(tile * tile, 0)
        hits += mine.to(tl.int32)
    count = tl.sum(hits, 0).to(tl.float32)
    share = 1.0 / tl.maximum(count, 1.0)
    tl.store(mean_ptr + k * n_features + column, first * share, mask=column < n_features)
    tl.store(square_ptr + k * n_features + column, second * share, mask=column < n_features)
    if tl.program_id(1) == 0:
        tl.store(counts_ptr + k, count)


@triton.jit
def backward_kernel(
    features_ptr,
    labels_ptr,
    counts_ptr,
    mean_c_ptr,
    square_c_ptr,
    features_c_ptr,
    n_members,
    n_features,
    n_classes,
    BLOCK_MEMBERS: tl.constexpr,
    BLOCK_FEATURES: tl.constexpr,
):
    """Write the cotangents of a strip of some members' features."""
    row = tl.program_id(0) * BLOCK_MEMBERS + tl.arange(0, BLOCK_MEMBERS)
    column = tl.program_id(1) * BLOCK_FEATURES + tl.arange(0, BLOCK_FEATURES)
    there = (row < n_members)[:, None] & (column < n_features)[None, :]
    label = tl.load(labels_ptr + row, mask=row < n_members, other=-1)  # (BLOCK_MEMBERS,)
    # A label out of range names no class: its member has no share, and nothing is read beyond the classes.
    known = (label >= 0) & (label < n_classes)
    share = 1.0 / tl.maximum(tl.load(counts_ptr + label, mask=known, other=1.0), 1.0)
    of_class = label[:, None] * n_features + column[None, :]
    place = row.to(tl.int64)[:, None] * n_features + column[None, :]
    tile = tl.load(features_ptr + place, mask=there, other=0.0).to(tl.float32)  # (BLOCK_MEMBERS, BLOCK_FEATURES)
    up = tl.load(mean_c_ptr + of_class, mask=there & known[:, None], other=0.0)
    up += 2.0 * tile * tl.load(square_c_ptr + of_class, mask=there & known[:, None], other=0.0)
    tl.store(features_c_ptr + place, (up * share[:, None]).to(features_c_ptr.dtype.element_ty), mask=there)
