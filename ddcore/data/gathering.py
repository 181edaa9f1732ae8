"""Where a training set lies while batches of it are gathered: on the device, or on the host where it is large."""

from dataclasses import replace

import torch
from torch import Tensor

from ddcore.data.examples import Examples, Inputs
from ddcore.runtime import sent

HOST = 2**28
"""Bytes of images from which they stay on the host: a part of them is never copied."""


def near(x: Inputs, device: torch.device | str) -> Inputs:
    """Return members where batches are gathered: on the device, but large sets of images stay where they are."""
    large = isinstance(x, Tensor) and x.numel() * x.element_size() >= HOST
    return x if large else x.to(device)


def gathered(x: Inputs, members: Tensor, device: torch.device | str) -> Inputs:
    """Return some members of what `near` returned, on the device.

    Args:
        x: N members.
        members: ``(K,)`` int64 on the CPU.
        device: where they are wanted.
    """
    return x[sent(members, x.device)].to(device)


def at_hand(examples: Examples, device: torch.device | str) -> Examples:
    """Return examples with their labels on the device and their inputs `near` it."""
    there = examples.taken(near(examples.x, device), examples.y.to(device), lambda labels: labels.to(device))
    return replace(there, summary=examples.summary, source=examples.source)


def batch_of(examples: Examples, members: Tensor) -> Examples:
    """Return some of what `at_hand` returned, inputs and labels on its device; members ``(K,)`` int64 on the CPU."""
    device = examples.y.device
    if examples.x.device == device:
        return examples[sent(members, device)]
    there = sent(members, device)
    return examples.taken(gathered(examples.x, members, device), examples.y[there], lambda labels: labels[there])


def used(x: Inputs, y: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return images and labels on the labels' device, and the rows ``(T, B)`` int64 of some steps in them.

    Where the images stay on the host, only those that the rows name come along.
    """
    assert isinstance(x, Tensor)
    if x.device == y.device:
        return x, y, sent(rows, y.device)
    members, rows = rows.unique(return_inverse=True)
    return x[members].to(y.device), y[sent(members, y.device)], sent(rows, y.device)
