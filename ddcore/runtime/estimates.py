"""What a run needs, told before it begins and after its first steps."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ddcore.errors import DDCoreError
from ddcore.runtime.files import check_space, in_words
from ddcore.runtime.machine import available, peak_memory

REMEDY = "lower --budget, or the real members, networks or parts of a step"


@dataclass(frozen=True)
class Needs:
    """What is certain before the first step; in bytes.

    Attributes:
        memory: the least that a process will hold beside what it holds already.
        disk: for checkpoints, the set and pictures of it.
    """

    memory: int
    disk: int


def needs(state: Iterable[Tensor], variables: Iterable[Tensor], shards: int, pictures: int) -> Needs:
    """Return what a run needs.

    Args:
        state: all tensors of a checkpoint, of which two are kept and a third is being written.
        variables: that gradients are taken in.
        shards: of a step, each with gradients of its own, which are added at the end.
        pictures: how often the set is drawn.
    """
    moved = size(variables)
    # A picture has a byte a pixel where the variable has four; the set comes with pictures of all its members, too.
    return Needs(moved * (shards + 2), 3 * size(state) + moved + (pictures + 1) * moved // 4)


def size(tensors: Iterable[Tensor]) -> int:
    """Return the bytes of tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def check_room(needed: Needs, folder: Path, device: torch.device) -> None:
    """Refuse a run that cannot fit.

    Raises:
        DDCoreError: the line says what it needs, what is free, and what to lower.
    """
    free = share(device)
    if needed.memory > free:
        raise DDCoreError(f"needs about {in_words(needed.memory)} of memory, {in_words(free)} are free: {REMEDY}")
    check_space(folder, needed.disk, "lower --budget, or make room")


def share(device: torch.device) -> int:
    """Return the free bytes of memory for this process: of its GPU, or its part of the machine's."""
    return available(device) // (1 if device.type == "cuda" else int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def outlook(seconds: float, folder: Path, device: torch.device) -> str:
    """Return in one line what a run takes, as its first steps let one expect.

    Args:
        seconds: that are left.
        folder: of the run.
        device: that the steps were taken on.
    """
    held = peak_memory()
    on_gpu = held["peak_gpu_memory_bytes"] if device.type == "cuda" else None
    memory = on_gpu or held["peak_memory_bytes"] or 0
    time = f"{seconds / 3600:.1f} hours" if seconds >= 5400 else f"{max(1, round(seconds / 60))} minutes"
    free = f"{in_words(share(device))} of memory and {in_words(check_space(folder))} of disk are free"
    return f"about {in_words(memory)} and {time}; {free}"
