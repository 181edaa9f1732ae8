"""Memory, disk and time of a run, estimated before it starts and after its first steps."""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from ddcore.errors import DDCoreError, require
from ddcore.runtime.files import check_space, in_words
from ddcore.runtime.machine import available, peak_memory

REMEDY = "lower --budget, or the real members, networks or parts of a step"

PROBE_SECONDS = 2.0
REFERENCE_STEP = 0.0031
"""Wall seconds of the probe's step on one core of a machine like the one that the job's minutes were measured on."""


@dataclass(frozen=True)
class Needs:
    """Lower bounds that are known before the first step, in bytes.

    Attributes:
        memory: of a process, beyond what it already holds.
        disk: for checkpoints, the set and its pictures.
    """

    memory: int
    disk: int


def needs(state: Iterable[Tensor], variables: Iterable[Tensor], shards: int, pictures: int) -> Needs:
    """Return the lower bounds of a run's memory and disk space.

    Args:
        state: all tensors of a checkpoint; two are stored while a third is written.
        variables: the optimised tensors.
        shards: of a step; each has its own gradients, which are added at the end of the step.
        pictures: number of pictures of the set during the run.
    """
    trained = size(variables)
    # A picture has one byte per pixel, a variable four; the finished set has pictures of all its members, too.
    return Needs(trained * (shards + 2), 3 * size(state) + trained + (pictures + 1) * trained // 4)


def size(tensors: Iterable[Tensor]) -> int:
    """Return the size of tensors in bytes."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def check_room(needed: Needs, folder: Path, device: torch.device) -> None:
    """Refuse a run that cannot fit.

    Raises:
        DDCoreError: memory or disk space does not suffice; the message says what to lower.
    """
    free = share(device)
    require(
        needed.memory <= free,
        f"needs about {in_words(needed.memory)} of memory, {in_words(free)} are free: {REMEDY}",
        DDCoreError,
    )
    check_space(folder, needed.disk, "lower --budget, or make room")


def share(device: torch.device) -> int:
    """Return the free memory for this process in bytes: of its GPU, or its share of the machine's."""
    return available(device) // (1 if device.type == "cuda" else int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


@cache
def slowness() -> float:
    """Return by what to multiply times of the reference machine, a processor with AVX-512, to get those of this one.

    For two seconds one core runs training steps of a small convolution, once per process; the fastest step counts, so
    that other work on the machine does not. What a machine gains by its number of cores is not part of it.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return min(_probe(PROBE_SECONDS)) / REFERENCE_STEP
    finally:
        torch.set_num_threads(before)


def _probe(seconds: float) -> list[float]:
    """Return the wall seconds of each training step that fits into a time; of at least one after the first."""
    x = torch.ones(16, 64, 14, 14).to(memory_format=torch.channels_last)
    weight = torch.ones(64, 64, 3, 3).to(memory_format=torch.channels_last).requires_grad_()
    end, steps = time.monotonic() + seconds, list[float]()
    while len(steps) < 2 or time.monotonic() < end:
        begun = time.perf_counter()
        torch.nn.functional.conv2d(x, weight, padding=1).relu().sum().backward()
        steps.append(time.perf_counter() - begun)
    return steps[1:]


def outlook(seconds: float, folder: Path, device: torch.device) -> str:
    """Return one line with the expected memory and time of a run, after its first steps.

    Args:
        seconds: expected until the end.
        folder: of the run.
        device: of the steps.
    """
    peak = peak_memory()
    memory = (device.type == "cuda" and peak["peak_gpu_memory_bytes"]) or peak["peak_memory_bytes"] or 0
    free = f"{in_words(share(device))} of memory and {in_words(check_space(folder))} of disk are free"
    return f"about {in_words(memory)} and {in_time(seconds)}; {free}"


def in_time(seconds: float) -> str:
    """Return a time in words: minutes, or hours where they are many."""
    return f"{seconds / 3600:.1f} hours" if seconds >= 5400 else f"{max(1, round(seconds / 60))} minutes"
