"""Texts as token ids: sequences of different lengths in two tensors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

PAD = 0
UNKNOWN = 1


@dataclass(frozen=True)
class Tokens:
    """N concatenated token sequences.

    Attributes:
        values: ``(M,)`` int32, the ids of all sequences, concatenated.
        offsets: ``(N + 1,)`` int64; sequence i is ``values[offsets[i]:offsets[i + 1]]``.
    """

    values: Tensor
    offsets: Tensor

    @staticmethod
    def of(sequences: Iterable[Sequence[int]]) -> "Tokens":
        """Return the sequences of lists of ids."""
        parts = [torch.tensor(sequence, dtype=torch.int32) for sequence in sequences]
        lengths = torch.tensor([0, *map(len, parts)], dtype=torch.int64)
        return Tokens(torch.cat([torch.empty(0, dtype=torch.int32), *parts]), lengths.cumsum(0))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Tensor:
        """``(N,)`` int64 numbers of tokens."""
        return self.offsets.diff()

    @property
    def device(self) -> torch.device:
        return self.values.device

    def to(self, device: torch.device | str) -> "Tokens":
        return Tokens(self.values.to(device), self.offsets.to(device))

    def __getitem__(self, index: Tensor) -> "Tokens":
        """Return the sequences at the indices ``(K,)`` int64, in that order."""
        lengths = self.lengths[index]
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        shift = self.offsets[:-1][index] - offsets[:-1]
        place = torch.arange(int(offsets[-1]), device=self.device) + shift.repeat_interleave(lengths)
        return Tokens(self.values[place], offsets)

    def sequence(self, i: int) -> Tensor:
        """Return the ids of one sequence: ``(L,)`` int32."""
        return self.values[int(self.offsets[i]) : int(self.offsets[i + 1])]

    def padded(self, limit: int | None = None) -> Tensor:
        """Return ``(N, L)`` int64, padded with `PAD` at the end; sequences are cut after `limit` tokens."""
        lengths = self.lengths if limit is None else self.lengths.clamp(max=limit)
        width = max(1, int(lengths.max()) if len(self) else 1)
        column = torch.arange(width, device=self.device)
        inside = column < lengths[:, None]
        place = (self.offsets[:-1, None] + column).clamp(max=max(0, len(self.values) - 1))
        if len(self.values) == 0:
            return torch.full((len(self), width), PAD, dtype=torch.int64, device=self.device)
        return torch.where(inside, self.values[place].long(), PAD)


def join(parts: Sequence[Tokens]) -> Tokens:
    """Return all sequences of the parts, in order."""
    values = torch.cat([part.values for part in parts])
    lengths = torch.cat([part.lengths for part in parts])
    return Tokens(values, torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]))
