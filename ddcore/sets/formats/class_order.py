"""Whether the classes of an imported set stand in the order of the data set: a comparison of mean images."""

from torch import Tensor

from ddcore.data import Task


def order_line(x: Tensor, y: Tensor, task: Task) -> str:
    """Return a line on the class order."""
    return ""
