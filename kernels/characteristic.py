"""The characteristic function of features, class by class, at some frequencies.

For features x ``(N, D)``, which stand class after class, and frequencies t ``(F, D)``, with ``n_k`` members in class k
and ``p_if = <t_f, x_i>``:

    real_kf = sum_{i in k} cos(p_if) / n_k,    imaginary_kf = sum_{i in k} sin(p_if) / n_k    (zero without members)
    dx_i = sum_f (cos(p_if) dimaginary_kf - sin(p_if) dreal_kf) t_f / n_k

The kernels never hold an ``N x F`` array. The forward pass sums the cosines and sines of a tile of products where they
are computed; the backward pass computes the products again, tile by tile, and multiplies what they give with the
frequencies at once. The frequencies have no gradient. Without atomics the bits are the same every time, and those of a
class do not depend on other classes.
"""

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx, once_differentiable

from ddcore.kernels.choice import fused

# Frequencies that the reference computes at a time: it holds their products with all features.
CHUNK = 512

Counts = tuple[int, ...]


def characteristic(features: Tensor, frequencies: Tensor, counts: Counts) -> tuple[Tensor, Tensor]:
    """Return the real and the imaginary part of the features' characteristic function, class by class.

    Args:
        features: ``(N, D)`` floating point, the members class after class.
        frequencies: ``(F, D)`` of the features' dtype; taken without a gradient.
        counts: K, members of each class; their sum is N.

    Returns:
        Two ``(K, F)``, float32 for features of half precision; differentiable in the features.

    Raises:
        ValueError: shapes, dtypes or devices do not fit, or there are no members or frequencies.
    """
    _check(features, frequencies, counts)
    frequencies = frequencies.detach()
    if fused(features):
        real, imaginary = Characteristic.apply(features, frequencies, counts)
        return real, imaginary
    kind = features.dtype if features.dtype in (torch.float32, torch.float64) else torch.float32
    features, frequencies = features.to(kind), frequencies.to(kind)
    share = _shares(counts, features)
    parts = []
    for some in frequencies.split(CHUNK):
        products = features @ some.T
        parts.append((share @ products.cos(), share @ products.sin()))
    real, imaginary = (torch.cat(part, 1) for part in zip(*parts, strict=True))
    return real, imaginary


class CharacteristicContext(FunctionCtx):
    """The state that autograd keeps between forward and backward."""

    saved_tensors: tuple[Tensor, ...]
    counts: Counts


class Characteristic(Function):
    """The characteristic function for autograd."""

    @staticmethod
    def forward(features: Tensor, frequencies: Tensor, counts: Counts) -> tuple[Tensor, Tensor]:
        """Return the real and the imaginary part."""
        from ddcore.kernels import characteristic_triton as fast

        return fast.forward(features, frequencies, counts)

    @staticmethod
    def setup_context(
        ctx: CharacteristicContext, inputs: tuple[Tensor, Tensor, Counts], output: tuple[Tensor, Tensor]
    ) -> None:
        """Save the inputs."""
        features, frequencies, ctx.counts = inputs
        ctx.save_for_backward(features, frequencies)

    @staticmethod
    @once_differentiable
    def backward(ctx: CharacteristicContext, real_c: Tensor, imaginary_c: Tensor) -> tuple[Tensor, None, None]:
        """Return the features' cotangents."""
        from ddcore.kernels import characteristic_triton as fast

        features, frequencies = ctx.saved_tensors
        return fast.backward(features, frequencies, ctx.counts, real_c, imaginary_c), None, None


def _shares(counts: Counts, like: Tensor) -> Tensor:
    """Return the share of each member in the mean of each class: ``(K, N)``."""
    sizes = torch.tensor(counts)
    classes = torch.arange(len(counts)).repeat_interleave(sizes)
    share = torch.zeros(len(counts), len(classes), dtype=like.dtype)
    share[classes, torch.arange(len(classes))] = 1 / sizes[classes].to(like.dtype)
    return share.to(like.device)


def _check(features: Tensor, frequencies: Tensor, counts: Counts) -> None:
    if features.ndim != 2 or not len(features) or not features.is_floating_point():
        actual = f"{tuple(features.shape)} {features.dtype}"
        raise ValueError(f"features must be (N, D) floating point, N at least 1, not {actual}")
    fits = frequencies.ndim == 2 and len(frequencies) > 0 and frequencies.shape[1] == features.shape[1]
    if not fits or (frequencies.dtype, frequencies.device) != (features.dtype, features.device):
        actual = f"{tuple(frequencies.shape)} {frequencies.dtype} on {frequencies.device}"
        wanted = f"(F, {features.shape[1]}) {features.dtype} on {features.device}, F at least 1"
        raise ValueError(f"frequencies must be {wanted}, not {actual}")
    if min(counts, default=-1) < 0 or sum(counts) != len(features):
        raise ValueError(f"counts must be numbers from 0 whose sum is {len(features)}, not {counts}")
