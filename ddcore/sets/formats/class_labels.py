"""Labels as other tools write them: class numbers, probabilities, logits."""

from pathlib import Path

import torch
from torch import Tensor

from ddcore.data import SMALLEST
from ddcore.errors import DDCoreError, require

HARD = 1e-4
"""How far the targets of a hard label may lie from 0 and 1."""
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


def soft_of(shares: Tensor, y: Tensor, path: Path) -> Tensor | None:
    """Return label probabilities as logits; None if every label is the hard one of its class.

    Args:
        shares: ``(N, K)``, each row with sum 1.
        y: ``(N,)`` int64, the classes of the members.
        path: of the file, for the message.

    Returns:
        ``(N, K)`` float32 logits whose softmax is `shares`, where a probability of 0 counts as `SMALLEST`; or None.

    Raises:
        DDCoreError: a row is no distribution.
    """
    shares = shares.double()
    finite = shares.ndim == 2 and bool(shares.isfinite().all())
    sound = finite and bool((shares >= 0).all() and ((shares.sum(1) - 1).abs() < SUM).all())
    require(sound, f"the labels in {path} are neither class numbers nor probabilities", DDCoreError)
    hard = bool((shares.gather(1, y[:, None]) == 1).all())
    return None if hard else shares.clamp_min(SMALLEST).log().float()


def from_regression(targets: Tensor, path: Path) -> tuple[Tensor, Tensor | None]:
    """Return class numbers and logits of labels that were regression targets, or targets without a constraint.

    Args:
        targets: ``(N, K)``; a hard label is 1 at its class and 0 elsewhere. Learned ones become probabilities: what is
            below 0 counts as 0, and each row is divided by its sum.
        path: of the file, for the message.

    Returns:
        ``(N,)`` int64, the classes of the largest targets, and logits as of `soft_of`.

    Raises:
        DDCoreError: a target is not finite, or a row has nothing above 0.
    """
    targets = targets.double()
    positive = targets.clamp_min(0)
    sound = targets.ndim == 2 and bool(targets.isfinite().all()) and bool((positive.sum(1) > 0).all())
    require(sound, f"the labels in {path} are not finite, or have no class above 0", DDCoreError)
    y = targets.argmax(1)
    hard = torch.nn.functional.one_hot(y, targets.shape[1])
    if bool(((targets - hard).abs() < HARD).all()):
        return y, None
    return y, soft_of(positive / positive.sum(1, keepdim=True), y, path)
