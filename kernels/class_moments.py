"""Moments of features by class: the number of members, their mean, and the mean of their squares.

For features f ``(N, D)`` and labels l, with ``n_k`` members in class k:

    mean_k = sum_{l = k} f / n_k,    square_k = sum_{l = k} f² / n_k      (zero for a class without members)
    df_i = dmean_{l_i} / n_{l_i} + 2 f_i dsquare_{l_i} / n_{l_i}

The kernels sort the members of a chunk by class, add up those of each class in order, then the chunks in order. Without
atomics the result has the same bits every time, and every feature is read once. They are meant for classes of uneven
size; for classes of equal size, sorted by class, a reshape and a mean do the same.
"""

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

from ddcore.kernels.choice import fused


def class_moments(features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the number of members of each class, their mean and the mean of their squares.

    Args:
        features: ``(N, D)`` floating point.
        labels: ``(N,)`` int64, from 0 to classes - 1. On a GPU the kernels leave a member with another label out of all
            classes, for a check would wait for the device.
        classes: their number K.

    Returns:
        ``(K,)`` of the features' dtype, and two ``(K, D)``, float32 for features of half precision; differentiable in
        the features.

    Raises:
        ValueError: shapes, dtypes or devices do not fit, there are no members, or a label is out of range.
    """
    fast = fused(features)
    _check(features, labels, classes, in_range=not (fast and labels.is_cuda))
    if fast:
        counts, mean, square = ClassMoments.apply(features, labels, classes)
        return counts, mean, square
    kind = features.dtype if features.dtype in (torch.float32, torch.float64) else torch.float32
    member, features = F.one_hot(labels, classes).to(kind), features.to(kind)
    counts = member.sum(0)
    share = member / counts.clamp(min=1)
    return counts, share.T @ features, share.T @ features.square()


class MomentsContext(FunctionCtx):
    """The state that autograd keeps between forward and backward."""

    saved_tensors: tuple[Tensor, ...]


class ClassMoments(Function):
    """The moments for autograd."""

    @staticmethod
    def forward(features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return counts, means and mean squares."""
        from ddcore.kernels import class_moments_triton as fast

        return fast.forward(features, labels, classes)

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
        from ddcore.kernels import class_moments_triton as fast

        features, labels, counts = ctx.saved_tensors
        return fast.backward(features, labels, counts, mean_c, square_c), None, None


def _check(features: Tensor, labels: Tensor, classes: int, in_range: bool) -> None:
    if features.ndim != 2 or not len(features) or not features.is_floating_point():
        actual = f"{tuple(features.shape)} {features.dtype}"
        raise ValueError(f"features must be (N, D) floating point, N at least 1, not {actual}")
    if (labels.shape, labels.dtype, labels.device) != (features.shape[:1], torch.int64, features.device):
        wanted = f"({len(features)},) int64 on {features.device}"
        raise ValueError(f"labels must be {wanted}, not {tuple(labels.shape)} {labels.dtype} on {labels.device}")
    if not in_range:
        return
    low, high = (int(each) for each in labels.aminmax())
    if low < 0 or high >= classes:
        raise ValueError(f"labels must lie between 0 and {classes - 1}, but go from {low} to {high}")
