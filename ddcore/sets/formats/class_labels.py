"""Labels as other tools write them: class numbers, probabilities, logits."""

from pathlib import Path

import torch
from torch import Tensor

from ddcore.errors import DDCoreError, require

SMALLEST = 1e-7
"""Probability that stands for 0 in a logit."""
SUM = 1e-3
"""How far the probabilities of a member may sum up from 1."""


def class_numbers(labels: Tensor, path: Path) -> Tensor:
    """Return class numbers as ``(N,)`` int64; whole numbers in floats are numbers, too.

    Raises:
        DDCoreError: they are not a row of whole numbers.
    """
    require(labels.ndim == 1, f"the labels in {path} have the shape {tuple(labels.shape)}, not (N,)", DDCoreError)
    whole = not labels.is_floating_point() or bool((labels == labels.round()).all())
    require(whole, f"the labels in {path} are not whole numbers", DDCoreError)
    return labels.to(torch.int64)


def from_probabilities(shares: Tensor, path: Path) -> tuple[Tensor, Tensor | None]:
    """Return class numbers and logits of labels that are probabilities; no logits if every label is hard.

    Args:
        shares: ``(N, K)``, each row with sum 1.
        path: of the file, for the message.

    Returns:
        ``(N,)`` int64, the most probable classes, and ``(N, K)`` float32 logits whose softmax is `shares`, where a
        probability of 0 counts as `SMALLEST`; or None.

    Raises:
        DDCoreError: a row is no distribution.
    """
    shares = shares.double()
    finite = shares.ndim == 2 and bool(shares.isfinite().all())
    sound = finite and bool((shares >= 0).all() and ((shares.sum(1) - 1).abs() < SUM).all())
    require(sound, f"the labels in {path} are neither class numbers nor probabilities", DDCoreError)
    y = shares.argmax(1)
    hard = bool((shares.max(1).values == 1).all())
    return y, None if hard else shares.clamp_min(SMALLEST).log().float()
