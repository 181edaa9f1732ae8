"""Moments of features by class: the number of members, their mean, and the mean of their squares.

For features f ``(N, D)`` and labels l, with ``n_k`` members in class k:

    mean_k = sum_{l = k} f / n_k,    square_k = sum_{l = k} f² / n_k      (zero for a class without members)
    df_i = dmean_{l_i} / n_{l_i} + 2 f_i dsquare_{l_i} / n_{l_i}

One program computes a strip of features of one class and reads the members of this class in order. Without atomics the
result has the same bits every time, and every feature is read once. The kernel is meant for classes of uneven size; for
classes of equal size, sorted by class, a reshape and a mean do the same.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

from kernels.choice import FUSION, fused

MEMBERS, STRIP = 32, 64
CONSTANTS = {"BLOCK_MEMBERS": MEMBERS, "BLOCK_FEATURES": STRIP, **FUSION}


def class_moments(features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the number of members of each class, their mean and the mean of their squares.

    Args:
        features: ``(N, D)`` floating point.
        labels: ``(N,)`` int64, from 0 to classes - 1.
        classes: their number K.

    Returns:
        ``(K,)`` of the features' dtype, and two ``(K, D)``, float32 for features of half precision; differentiable in
        the features.

    Raises:
        ValueError: shapes, dtypes or devices do not fit, there are no members, or a label is out of range.
    """
    _check(features, labels, classes)
    if fused(features):
        counts, mean, square = ClassMoments.apply(features, labels, classes)
        return counts, mean, square
    kind = features.dtype if features.dtype in (torch.float32, torch.float64) else torch.float32
    member, features = F.one_hot(labels, classes).to(kind), features.to(kind)
    counts = member.sum(0)
    share = member / counts.clamp(min=1)
    return counts, share.T @ features, share.T @ features.square()


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
    BLOCK_MEMBERS: tl.constexpr,
    BLOCK_FEATURES: tl.constexpr,
):
    """Write the cotangents of a strip of some members' features."""
    row = tl.program_id(0) * BLOCK_MEMBERS + tl.arange(0, BLOCK_MEMBERS)
    column = tl.program_id(1) * BLOCK_FEATURES + tl.arange(0, BLOCK_FEATURES)
    there = (row < n_members)[:, None] & (column < n_features)[None, :]
    label = tl.load(labels_ptr + row, mask=row < n_members, other=0)  # (BLOCK_MEMBERS,)
    share = 1.0 / tl.maximum(tl.load(counts_ptr + label, mask=row < n_members, other=1.0), 1.0)
    of_class = label[:, None] * n_features + column[None, :]
    place = row.to(tl.int64)[:, None] * n_features + column[None, :]
    tile = tl.load(features_ptr + place, mask=there, other=0.0).to(tl.float32)  # (BLOCK_MEMBERS, BLOCK_FEATURES)
    up = tl.load(mean_c_ptr + of_class, mask=there, other=0.0)
    up += 2.0 * tile * tl.load(square_c_ptr + of_class, mask=there, other=0.0)
    tl.store(features_c_ptr + place, (up * share[:, None]).to(features_c_ptr.dtype.element_ty), mask=there)


class MomentsContext(FunctionCtx):
    """The state that autograd keeps between forward and backward."""

    saved_tensors: tuple[Tensor, ...]


class ClassMoments(Function):
    """The moments for autograd."""

    @staticmethod
    def forward(features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return counts, means and mean squares."""
        features, labels = features.contiguous(), labels.contiguous()
        n, width = features.shape
        counts = features.new_empty(classes, dtype=torch.float32)
        mean, square = (features.new_empty(classes, width, dtype=torch.float32) for _ in range(2))
        grid = (classes, triton.cdiv(width, STRIP))
        forward_kernel[grid](features, labels, counts, mean, square, n, width, **CONSTANTS)
        return counts, mean, square

    @staticmethod
    def setup_context(
        ctx: MomentsContext, inputs: tuple[Tensor, Tensor, int], output: tuple[Tensor, Tensor, Tensor]
    ) -> None:
        """Save the inputs."""
        features, labels, _ = inputs
        ctx.mark_non_differentiable(output[0])
        ctx.save_for_backward(features, labels, output[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: MomentsContext, _: Tensor, mean_c: Tensor, square_c: Tensor) -> tuple[Tensor, None, None]:
        """Return the features' cotangents."""
        features, labels, counts = (each.contiguous() for each in ctx.saved_tensors)
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
            **CONSTANTS,
        )
        return features_c, None, None


def _check(features: Tensor, labels: Tensor, classes: int) -> None:
    if features.ndim != 2 or not len(features) or not features.is_floating_point():
        actual = f"{tuple(features.shape)} {features.dtype}"
        raise ValueError(f"features must be (N, D) floating point, N at least 1, not {actual}")
    if (labels.shape, labels.dtype, labels.device) != (features.shape[:1], torch.int64, features.device):
        wanted = f"({len(features)},) int64 on {features.device}"
        raise ValueError(f"labels must be {wanted}, not {tuple(labels.shape)} {labels.dtype} on {labels.device}")
    low, high = (int(each) for each in labels.aminmax())
    if low < 0 or high >= classes:
        raise ValueError(f"labels must lie between 0 and {classes - 1}, but go from {low} to {high}")
