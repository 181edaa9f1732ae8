"""Fixed word vectors: the space of synthetic texts, shared by all networks that read them."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ddcore.data import PAD, UNKNOWN
from ddcore.errors import UsageError

CHUNK = 1000


@dataclass(frozen=True)
class Embedding:
    """A table of word vectors.

    Attributes:
        name: its origin, for readers.
        net: name of the network that learned it.
        table: ``(W, D)`` float32, one row per word id.
        seen: ``(W,)`` bool, the words whose rows were learned; others are read as the unknown word.
    """

    name: str
    net: str
    table: Tensor
    seen: Tensor

    def adopt(self, net: nn.Module) -> nn.Module:
        """Put the vectors into a network, where they stay fixed, and return the network.

        Raises:
            UsageError: the network has no word vectors, or their shape differs.
        """
        words = getattr(net, "words", None)
        if words is None or words.table.weight.shape != self.table.shape:
            shape = " x ".join(str(size) for size in self.table.shape)
            raise UsageError(f"{type(net).__name__} does not read {shape} word vectors: use {self.net}, for example")
        words.hold(self.table, self.seen)
        return net

    def read_by(self, net: nn.Module) -> bool:
        """Return whether a trained network learned, or holds, these very vectors."""
        words = getattr(net, "words", None)
        return words is not None and torch.equal(words.table.weight.cpu(), self.table.cpu())

    def vectors(self, ids: Tensor) -> Tensor:
        """Return the vectors ``(N, L, D)`` float32 of ids ``(N, L)`` int64."""
        ids = torch.where(ids < len(self.table), ids, UNKNOWN)
        return self.table[torch.where(self.seen[ids], ids, UNKNOWN)]

    def nearest(self, x: Tensor) -> Tensor:
        """Return the learned words of largest cosine similarity to vectors ``(N, D)``: ids ``(N,)`` int64."""
        shown = self.seen.nonzero().flatten()
        shown = shown[shown != PAD]
        rows = nn.functional.normalize(self.table[shown], dim=1)
        return shown[torch.cat([(part @ rows.T).argmax(1) for part in x.split(CHUNK)])]

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors by name."""
        return {"table": self.table, "seen": self.seen}

    def record(self) -> dict[str, str]:
        """Return everything except the tensors, as JSON values."""
        return {"name": self.name, "net": self.net}

    @staticmethod
    def of(record: Mapping[str, str], tensors: dict[str, Tensor]) -> "Embedding":
        """Return the embedding that `record` and `tensors` describe.

        Raises:
            KeyError, ValueError: a part is missing or has the wrong shape, dtype or values.
        """
        table, seen = tensors["table"], tensors["seen"]
        if table.ndim != 2 or table.dtype != torch.float32 or not bool(table.isfinite().all()):
            raise ValueError("the word vectors are not (W, D) finite float32")
        if seen.shape != table.shape[:1] or seen.dtype != torch.bool:
            raise ValueError("the mask of learned words is not (W,) bool")
        if not bool(seen[PAD + 1 :].any()):
            raise ValueError("no word is learned")
        return Embedding(str(record["name"]), str(record["net"]), table, seen)
