"""Word vectors that stand still: the space that synthetic texts are written in, and that their readers share."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ddcore.data import PAD, UNKNOWN
from ddcore.errors import UsageError

CHUNK = 1000


@dataclass(frozen=True)
class Embedding:
    """A table of word vectors.

    Attributes:
        name: where it came from, for people.
        net: name of the network that learned it.
        table: ``(W, D)`` float32, a row a word id.
        seen: ``(W,)`` bool, the words whose rows were learned; others are read as the unknown word.
    """

    name: str
    net: str
    table: Tensor
    seen: Tensor

    def adopt(self, net: nn.Module) -> nn.Module:
        """Put the vectors into a network, for good, and return it: it learns none of its own.

        Raises:
            UsageError: the network has no word vectors, or ones of another shape.
        """
        words: Any = getattr(net, "words", None)
        if words is None or words.table.weight.shape != self.table.shape:
            shape = " x ".join(str(size) for size in self.table.shape)
            raise UsageError(f"{type(net).__name__} does not read {shape} word vectors: use {self.net}, for one")
        words.hold(self.table, self.seen)
        return net

    def vectors(self, ids: Tensor) -> Tensor:
        """Return the vectors ``(N, L, D)`` float32 of ids ``(N, L)`` int64."""
        ids = torch.where(ids < len(self.table), ids, UNKNOWN)
        return self.table[torch.where(self.seen[ids], ids, UNKNOWN)]

    def nearest(self, x: Tensor) -> Tensor:
        """Return the learned words that point most nearly the way of vectors ``(N, D)``: ids ``(N,)`` int64."""
        shown = self.seen.nonzero().flatten()
        shown = shown[shown != PAD]
        rows = nn.functional.normalize(self.table[shown], dim=1)
        return shown[torch.cat([(part @ rows.T).argmax(1) for part in x.split(CHUNK)])]

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors by name."""
        return {"table": self.table, "seen": self.seen}

    def record(self) -> dict[str, str]:
        """Return all that isn't a tensor, as JSON values."""
        return {"name": self.name, "net": self.net}

    @staticmethod
    def of(record: dict[str, Any], tensors: dict[str, Tensor]) -> "Embedding":
        """Return what `record` and `tensors` gave.

        Raises:
            KeyError, ValueError: a part is missing or does not fit.
        """
        table, seen = tensors["table"], tensors["seen"]
        if table.ndim != 2 or table.dtype != torch.float32 or not bool(table.isfinite().all()):
            raise ValueError("the word vectors are not (W, D) finite float32")
        if seen.shape != table.shape[:1] or seen.dtype != torch.bool:
            raise ValueError("the learned words are not marked one by one")
        return Embedding(str(record["name"]), str(record["net"]), table, seen)
