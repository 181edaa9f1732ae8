"""The values of imported images beside those of the real ones, so that a wrong normalisation is seen."""

import torch
from torch import Tensor

from ddcore.data import Task

APART, OUTSIDE = 0.25, 0.3
"""How far the mean may lie from the real one, and the share of values outside 0 to 1, before a line warns."""


def range_lines(x: Tensor, stored: tuple[float, float], name: str, task: Task) -> list[str]:
    """Return lines on the values of images.

    Args:
        x: ``(N, C, H, W)`` uint8 pixels, or floats in the normalisation of the data set.
        stored: smallest and largest value in the file.
        name: of the normalisation of the file; empty for pixels.
        task: the data set.
    """
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (task.mean, task.std))
    values = x.float() / 255 if x.dtype == torch.uint8 else x * std + mean
    own, real = values.mean((0, 2, 3)), torch.tensor(task.mean)
    outside = float(((values < -1e-3) | (values > 1 + 1e-3)).float().mean())
    how = f"read with the normalisation {name}" if name else "pixels of 8 bits"
    lines = [
        f"values {stored[0]:.4g} to {stored[1]:.4g} in the file, {how}: {float(values.min()):.3f} to "
        f"{float(values.max()):.3f} on the scale where 0 is black and 1 is white, {100 * outside:.0f} % outside it",
        f"mean {_row(own)}, standard deviation {_row(values.std((0, 2, 3)))}; "
        f"{task.name} has {_row(real)} and {_row(torch.tensor(task.std))}",
    ]
    if outside > OUTSIDE or float((own - real).abs().max()) > APART:
        lines.append("warning: these values are unlike the real ones; look at grid.png, and see --normalisation, --zca")
    return lines


def _row(values: Tensor) -> str:
    return ", ".join(f"{value:.3f}" for value in values.tolist())
