"""The members' features, of which a few blocks are held at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.runtime import collected

BLOCK = 2**26
"""Numbers of features that are held at a time; as float32 they take 256 MB."""


@dataclass(frozen=True)
class Features:
    """The features of all N training members.

    Attributes:
        whole: ``(N, D)`` float16 or float32; it may lie in a file.
    """

    whole: Tensor

    def rows(self, members: Tensor) -> Tensor:
        """Return the features of members ``(K,)`` int64, scaled to length 1: ``(K, D)`` float32."""
        return unit(self.whole[members].float())

    def of(self, members: Tensor, device: torch.device, limit: int = BLOCK) -> "Blocks":
        """Return the features of members ``(K,)`` int64 as blocks on a device of at most `limit` numbers."""
        size = max(1, limit // max(1, self.whole.shape[1]))
        return Blocks(len(members), size, lambda rows: self.rows(members[rows]).to(device))


class Blocks:
    """Rows of features ``(P, D)`` float32 that are read again for each pass over them, unless all fit into one block.

    Args:
        count: P.
        size: rows of a block; the last may have fewer.
        read: returns the rows of a slice.
    """

    def __init__(self, count: int, size: int, read: Callable[[slice], Tensor]) -> None:
        self.count, self.size, self.read = count, size, read
        if count <= size:
            only = read(slice(0, count))
            self.read = lambda rows: only[rows]

    @staticmethod
    def of(x: Tensor) -> "Blocks":
        """Return a tensor as one block."""
        return Blocks(len(x), max(1, len(x)), lambda rows: x[rows])

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[slice, Tensor]]:
        """Give each block with the places of its rows."""
        for begin in range(0, max(1, self.count), self.size):
            rows = slice(begin, min(begin + self.size, self.count))
            yield rows, self.read(rows)

    def __getitem__(self, row: int | Tensor) -> Tensor:
        """Return one row: ``(D,)``."""
        place = int(row)
        return self.read(slice(place, place + 1))[0]

    def each(self, number: Callable[[Tensor], Tensor]) -> Tensor:
        """Return what a function gives for each row ``(P, ...)``, asked block by block."""
        return collected((number(block) for _, block in self), self.count)

    def mean(self) -> Tensor:
        """Return the mean row: ``(D,)``."""
        return torch.stack([block.sum(0) for _, block in self]).sum(0) / self.count

    def changed(self, change: Callable[[Tensor], Tensor]) -> "Blocks":
        """Return the blocks after a change of each row on its own."""
        return Blocks(self.count, self.size, lambda rows: change(self.read(rows)))


def squares_from(x: Blocks, point: Tensor) -> Tensor:
    """Return the squared distance of each row from a point ``(D,)``: ``(P,)``."""
    return x.each(lambda rows: (rows - point).square().sum(1))


def products(x: Blocks, direction: Tensor) -> Tensor:
    """Return each row's product with a vector ``(D,)``: ``(P,)``."""
    return x.each(lambda rows: rows @ direction)


def unit(x: Tensor) -> Tensor:
    """Return rows ``(N, D)`` scaled to length 1; a row of zeros stays."""
    return x / x.norm(dim=1, keepdim=True).clamp(min=1e-12)
