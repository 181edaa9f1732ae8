"""How many members pass through a network at once, so that a step fits into the memory that is free."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from ddcore.errors import DDCoreError, require
from ddcore.runtime import Session, agreed, in_words, read_object, share, write_json
from ddcore.synthesis.contract import Synthesis

SIZES = "sizes.json"
"""In the run folder: by number of members of a stage, the chunk that its steps take; only where there is one."""
PIXELS = 3 * 32 * 32
"""Numbers of an image up to which there are no chunks, unless memory is short."""
CHUNK = {"cpu": 256, "cuda": 2048}
"""Members of a chunk of larger images, if they had `PIXELS` numbers."""
PART = 0.6
"""Of the free memory, what a step is meant to take at most."""


def chunk_of(device: torch.device, shape: Sequence[int]) -> int:
    """Return how many images of a shape ``(C, H, W)`` pass through a network at once; 0: all of a batch."""
    numbers = math.prod(shape)
    return 0 if numbers <= PIXELS else max(1, CHUNK.get(device.type, 256) * PIXELS // numbers)


def settle_chunk(synthesis: Synthesis, held: int, folder: Path, session: Session, *, resumed: bool) -> None:
    """Choose the chunk of a run, the same on every process, and keep it in the run folder.

    The chunk depends on the size of the images. It is halved while a step would take more than `PART` of the memory
    that is free when the run begins; a resumed run keeps what it began with.

    Args:
        synthesis: that takes it.
        held: bytes of a step that do not depend on the chunk.
        folder: of the run.
        session: the processes.
        resumed: whether the run has begun; without a chunk in its folder it began without one.

    Raises:
        DDCoreError: a step does not fit with one member at a time, or the folder cannot be read or written.
    """
    problem, path = synthesis.problem, folder / SIZES
    if problem.task.kind != "images":
        return
    known = read_object(path, {"*": int}) if path.exists() else {}
    key = str(problem.budget)
    if key not in known:
        chunk = chunk_of(problem.device, problem.task.shape)
        if resumed:
            chunk = 0
        elif session.main:
            chunk = _fitting(chunk, *synthesis.widest(), held, share(problem.device))
        chunk = agreed(chunk, session.processes)
        known |= {key: chunk}
        if chunk and session.main:
            write_json(path, known)
    synthesis.use_chunk(known[key])


def _fitting(chunk: int, members: int, each: float, held: int, free: int) -> int:
    """Return a chunk, halved until members of so many bytes fit into a part of the free memory."""
    if not members:
        return chunk
    at_once = min(chunk or members, members)
    while at_once > 1 and held + at_once * each > PART * free:
        at_once = -(-at_once // 2)
    needed = int(held + at_once * each)
    require(
        needed <= PART * free,
        f"a step needs about {in_words(needed)} of memory even with one member in the network at a time, and "
        f"{in_words(free)} are free: lower --budget, or take a smaller network (--net)",
        DDCoreError,
    )
    return chunk if at_once == min(chunk or members, members) else at_once
