"""The labels of the data sets by name, as their files have them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ddcore.errors import DDCoreError, require


def class_numbers(labels: Sequence[object], classes: int, where: str, remedy: str) -> Tensor:
    """Return labels as class numbers: ``(N,)`` int64.

    Args:
        labels: of all members.
        classes: number of classes.
        where, remedy: the file or folder, and the way out, for the error message.

    Raises:
        DDCoreError: a label is no whole number from 0 to ``classes - 1``, or a class has no members.
    """
    for label in dict.fromkeys(labels):
        require(
            type(label) is int and 0 <= label < classes,
            f"{where} has the label {label!r}, and labels are whole numbers from 0 to {classes - 1}: {remedy}",
            DDCoreError,
        )
    y = torch.tensor(labels, dtype=torch.int64)
    for number in range(classes):
        require(
            number in y,
            f"{where} has no members with the label {number}, so that it is not the whole data set: {remedy}",
            DDCoreError,
        )
    return y
