"""Features of real and synthetic members in a random network, and how far apart they are class by class."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ddcore.kernels import class_moments
from ddcore.methods.matching import Pair

# Members whose features a CPU computes at once.
PIECE = 32


def features_of(net: Any, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the features of all real members and of all synthetic ones, each with the numbers of their pairs.

    Args:
        net: has ``features``.
        pairs: P of them, a class each.

    Returns:
        ``(B, D)`` without a graph and ``(B,)`` int64 from 0 to P - 1; ``(N, D)`` with the graph and ``(N,)`` int64.
    """
    with torch.no_grad():
        real = embedded(net, torch.cat([pair.real for pair in pairs]))
    own = embedded(net, torch.cat([pair.x for pair in pairs]))
    counts = torch.tensor([[len(pair.real), len(pair.x)] for pair in pairs], device=own.device)
    places = torch.arange(len(pairs), device=own.device)
    return real, places.repeat_interleave(counts[:, 0]), own, places.repeat_interleave(counts[:, 1])


def embedded(net: Any, x: Tensor) -> Tensor:
    """Return a network's features of members: ``(N, D)``.

    On a CPU a few members at a time, so that what lies between two layers stays in its caches; all at once where the
    network normalises over the batch.
    """
    together = x.device.type != "cpu" or any(isinstance(module, _BatchNorm) for module in net.modules())
    parts = [x] if together else x.split(PIECE)
    return torch.cat([net.features(part) for part in parts]).flatten(1)


def distance(real: Tensor, real_y: Tensor, own: Tensor, y: Tensor, classes: int, moments: int) -> Tensor:
    """Return how far apart the classes' features are: ``()``.

    The squared distance of the means, summed over classes; with two moments also the squared Frobenius distance of
    the covariances over the features' mean square, through Gram matrices: ``|X X'|² / n² - 2 |X Y'|² / nm +
    |Y Y'|² / m²`` for centred X ``(n, D)`` and Y ``(m, D)`` is that of their covariances, at the cost of n and m.

    Args:
        real, own: ``(B, D)`` and ``(N, D)``; `made` carries the graph.
        real_y, y: ``(B,)`` and ``(N,)`` int64.
        classes: how many.
        moments: 1 or 2.
    """
    _, real_mean, real_square = class_moments(real, real_y, classes)
    _, mean, _ = class_moments(own, y, classes)
    total = (real_mean - mean).square().sum()
    if moments == 1:
        return total
    scale = real_square.mean(1)
    for k in range(classes):
        a, b = real[real_y == k] - real_mean[k], own[y == k] - mean[k]
        apart = (
            (a @ a.T).square().sum() / len(a) ** 2
            - 2 * (a @ b.T).square().sum() / (len(a) * len(b))
            + (b @ b.T).square().sum() / len(b) ** 2
        )
        total = total + apart / scale[k]
    return total
