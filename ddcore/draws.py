"""Keyed random draws: a draw depends on what it is for, never on what was drawn before it.

A generator is made fresh for each (run seed, purpose, step, index …) and thrown away, so that a step can be
run again, on another process or backwards, and draws the same.
"""

import contextlib
import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor

Key = int | str
FRESH = 1000
"""Added to a run's seed for networks that judge sets, so that none starts with weights that a teacher started with."""


def seed_of(*key: Key) -> int:
    """Return the 63-bit seed that belongs to a key, the same on every machine and in every process."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(*key: Key) -> torch.Generator:
    """Return a fresh CPU generator for a key such as ``(seed, "batch", step)``."""
    return torch.Generator().manual_seed(seed_of(*key))


def permutation(n: int, *key: Key) -> Tensor:
    """Return a keyed permutation: ``(n,)`` int64."""
    return torch.randperm(n, generator=generator(*key))


def batches(members: int, size: int, steps: range, *key: Key) -> Iterator[Tensor]:
    """Give the member numbers of some steps: ``(min(size, members),)`` int64 each.

    Steps are counted from 0; each epoch goes over the members in a keyed order of its own, and its last odd ones wait.
    """
    size = min(size, members)
    order, current = torch.empty(0), -1
    for step in steps:
        epoch, place = divmod(step, members // size)
        if epoch != current:
            order, current = permutation(members, *key, epoch), epoch
        yield order[place * size : (place + 1) * size]


def whole_epochs(members: int, size: int, steps: range, *key: Key) -> Iterator[Tensor]:
    """Give the member numbers of some steps: int64; each epoch goes over all members, so its last batch may be smaller.

    Steps are counted from 0.
    """
    order, current, each = torch.empty(0), -1, -(-members // size)
    for step in steps:
        epoch, place = divmod(step, each)
        if epoch != current:
            order, current = permutation(members, *key, epoch), epoch
        yield order[place * size : (place + 1) * size]


@contextlib.contextmanager
def scoped(*key: Key) -> Iterator[None]:
    """Seed torch's global generators inside a ``with`` block and put them back after it.

    For code that cannot be given a generator, such as the default initialisation of ``torch.nn`` layers.
    """
    # Of several GPUs this process draws on one; to fork all of them takes longer and says so in a warning.
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed_of(*key))
        yield
