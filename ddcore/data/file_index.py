"""What was read from the files of a large data set, so that a later stage does not read them again.

It counts as long as a file's name, size, inode number and times in nanoseconds are the same.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ddcore.data.pictures import Heads
from ddcore.errors import DDCoreError
from ddcore.runtime import LOG, load_tensors, save_tensors

FORMAT = "ddcore files 1"
FRESH = 2_000_000_000
"""Nanoseconds: a file that was changed so shortly before its state was taken may change again without a new time."""


@dataclass(frozen=True)
class FileIndex:
    """What was read from some files.

    Attributes:
        path: of the index itself.
        names: of the N files, relative to one folder; none holds a null byte.
        states: ``(N, 4)`` int64: size in bytes, inode number, times of the last change of content and of the inode.
        taken: when the states were about to be taken, in nanoseconds of the clock.
    """

    path: Path
    names: Sequence[str]
    states: np.ndarray
    taken: int

    def recall(self, *, skip: bool) -> tuple[Heads, np.ndarray]:
        """Return the known heads of all files, and the numbers ``(K,)`` int64 of the files to read again."""
        heads, known = Heads.blank(len(self.names)), np.zeros(len(self.names), bool)
        try:
            tensors, notes = load_tensors(self.path)
            columns = {name: tensor.numpy() for name, tensor in tensors.items()}
            earlier = os.fsdecode(columns["names"].tobytes()).split("\0")
            counts = {len(columns[name]) for name in ("states", "fingerprints", "sizes", "whole")}
            if notes.get("format") != FORMAT or counts != {len(earlier)}:
                return heads, np.arange(len(self.names))
            if earlier == list(self.names):
                here = there = np.arange(len(earlier))
            else:
                place = {name: i for i, name in enumerate(earlier)}
                pairs = [(i, place[name]) for i, name in enumerate(self.names) if name in place]
                here, there = np.array(pairs, np.int64).reshape(-1, 2).T
            same = (self.states[here] == columns["states"][there]).all(1)
            here, there = here[same], there[same]
            known[here] = True
            heads.fingerprints[here] = columns["fingerprints"][there]
            heads.sizes[here] = columns["sizes"][there]
            heads.whole[here] = columns["whole"][there].astype(bool)
        except (DDCoreError, KeyError, ValueError):  # missing or damaged: all files are read
            return Heads.blank(len(self.names)), np.arange(len(self.names))
        known &= heads.whole if skip else heads.sizes[:, 0] > 0
        return heads, np.flatnonzero(~known)

    def keep(self, heads: Heads) -> None:
        """Write the heads of all files but the most recently changed ones. A full disk gives a warning."""
        settled = np.flatnonzero(self.states[:, 2:].max(1, initial=0) < self.taken - FRESH)
        if not len(settled):
            return
        names = "\0".join(self.names[i] for i in settled.tolist())
        columns = {
            "names": np.frombuffer(os.fsencode(names), np.uint8).copy(),
            "states": self.states[settled],
            "fingerprints": heads.fingerprints[settled],
            "sizes": heads.sizes[settled],
            "whole": heads.whole[settled].astype(np.uint8),
        }
        try:
            save_tensors(self.path, {n: torch.from_numpy(c) for n, c in columns.items()}, {"format": FORMAT})
        except DDCoreError as error:
            LOG.warning("what was read of %d files is not kept: %s", len(settled), error)


def place_key(folder: Path) -> str:
    """Return a short digest of a folder's place."""
    return hashlib.blake2b(os.fsencode(os.path.realpath(folder)), digest_size=8).hexdigest()
