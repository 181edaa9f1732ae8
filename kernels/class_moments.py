"""Moments of features by class: how many members a class has, their mean, and the mean of their squares.

For features f ``(N, D)`` and labels l, with ``n_k`` members in class k:

    mean_k = sum_{l = k} f / n_k,    square_k = sum_{l = k} f² / n_k      (zero for a class without members)
    df_i = dmean_{l_i} / n_{l_i} + 2 f_i dsquare_{l_i} / n_{l_i}

The kernel gives each class and strip of features to one program, which reads the members of its class in order: no
atomics, so that the result has the same bits every time, and every feature is read once. It is meant for classes of
uneven size; for even ones, sorted by class, a reshape and a mean do the same.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from kernels.choice import FUSION, fused

MEMBERS, STRIP = 32, 64
CONSTANTS = {"MEMBERS": MEMBERS, "STRIP": STRIP, **FUSION}


def class_moments(features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return how many members each class has, their mean and the mean of their squares.

    Args:
        features: ``(N, D)`` floating point.
        labels: ``(N,)`` int64, from 0 to classes - 1.
        classes: how many, K.

    Returns:
        ``(K,)`` of the features' dtype, and two ``(K, D)``, float32 for features of half precision; differentiable in
        the features.

    Raises:
        ValueError: shapes, dtypes or devices do not fit, there is no member, or a label is out of range.
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
def forward_kernel(f, labels, counts, mean, square, n, width, MEMBERS: tl.constexpr, STRIP: tl.constexpr):
    """Write one class's count and a strip of its moments."""
    k = tl.program_id(0)
    column = tl.program_id(1) * STRIP + tl.arange(0, STRIP)
    first, second = tl.zeros([STRIP], tl.float32), tl.zeros([STRIP], tl.float32)
    found = tl.zeros([MEMBERS], tl.int32)
    for begin in range(0, n, MEMBERS):
        row = begin + tl.arange(0, MEMBERS)
        mine = (tl.load(labels + row, mask=row < n, other=-1) == k) & (row < n)
        there = mine[:, None] & (column < width)[None, :]
        place = row.to(tl.int64)[:, None] * width + column[None, :]
        tile = tl.load(f + place, mask=there, other=0.0).to(tl.float32)
        first += tl.sum(tile, 0)
        second += tl.sum(tile * tile, 0)
        found += mine.to(tl.int32)
    count = tl.sum(found, 0).to(tl.float32)
    share = 1.0 / tl.maximum(count, 1.0)
    tl.store(mean + k * width + column, first * share, mask=column < width)
    tl.store(square + k * width + column, second * share, mask=column < width)
    if tl.program_id(1) == 0:
        tl.store(counts + k, count)


@triton.jit
def backward_kernel(f, labels, counts, mean_c, square_c, f_c, n, width, MEMBERS: tl.constexpr, STRIP: tl.constexpr):
    """Write the cotangents of a strip of some members' features."""
    row = tl.program_id(0) * MEMBERS + tl.arange(0, MEMBERS)
    column = tl.program_id(1) * STRIP + tl.arange(0, STRIP)
    there = (row < n)[:, None] & (column < width)[None, :]
    label = tl.load(labels + row, mask=row < n, other=0)
    share = 1.0 / tl.maximum(tl.load(counts + label, mask=row < n, other=1.0), 1.0)
    of_class = label[:, None] * width + column[None, :]
    place = row.to(tl.int64)[:, None] * width + column[None, :]
    tile = tl.load(f + place, mask=there, other=0.0).to(tl.float32)
    up = tl.load(mean_c + of_class, mask=there, other=0.0)
    up += 2.0 * tile * tl.load(square_c + of_class, mask=there, other=0.0)
    tl.store(f_c + place, (up * share[:, None]).to(f_c.dtype.element_ty), mask=there)


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
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep the inputs."""
        features, labels, _ = inputs
        ctx.mark_non_differentiable(output[0])
        ctx.save_for_backward(features, labels, output[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Any, mean_c: Tensor, square_c: Tensor) -> tuple[Any, ...]:
        """Return the features' cotangents."""
        features, labels, counts = (each.contiguous() for each in ctx.saved_tensors)
        n, width = features.shape
        f_c = torch.empty_like(features)
        grid = (triton.cdiv(n, MEMBERS), triton.cdiv(width, STRIP))
        backward_kernel[grid](
            features,
            labels,
            counts,
            mean_c.contiguous(),
            square_c.contiguous(),
            f_c,
            n,
            width,
            **CONSTANTS,
        )
        return f_c, None, None


def _check(features: Tensor, labels: Tensor, classes: int) -> None:
    if features.ndim != 2 or not len(features) or not features.is_floating_point():
        found = f"{tuple(features.shape)} {features.dtype}"
        raise ValueError(f"features must be (N, D) floating point, N at least 1, not {found}")
    if (labels.shape, labels.dtype, labels.device) != (features.shape[:1], torch.int64, features.device):
        wanted = f"({len(features)},) int64 on {features.device}"
        raise ValueError(f"labels must be {wanted}, not {tuple(labels.shape)} {labels.dtype} on {labels.device}")
    low, high = (int(each) for each in labels.aminmax())
    if low < 0 or high >= classes:
        raise ValueError(f"labels must lie between 0 and {classes - 1}, but go from {low} to {high}")
