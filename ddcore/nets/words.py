"""Word vectors that know which words training showed them."""

import torch
from torch import Tensor, nn

from ddcore.data import PAD, UNKNOWN, Task

MOST_WORDS = 30_000


def words_of(task: Task) -> int:
    """Return how many ids get a vector of their own: the most frequent words of the task."""
    return min(MOST_WORDS, int(task.tokeniser.get_vocab_size()))


class WordVectors(nn.Module):
    """An embedding of the most frequent words; rarer words, and those that training never showed, are `UNKNOWN`.

    Ids count down by frequency, so the first ``words`` ids are the most frequent ones. A small set shows only a few
    thousand words; the untouched random vectors of the others would be noise. While training, words are dropped
    (made unknown) at random, so that the vector of unknown words is trained too.
    """

    seen: Tensor

    def __init__(self, words: int, width: int, dropped: float) -> None:
        super().__init__()
        self.table = nn.Embedding(words, width, padding_idx=PAD)
        nn.init.normal_(self.table.weight, std=0.1)
        with torch.no_grad():
            self.table.weight[PAD] = 0
        self.dropped = dropped
        self.held = False
        seen = torch.zeros(words, dtype=torch.bool)
        seen[[PAD, UNKNOWN]] = True
        self.register_buffer("seen", seen)

    def hold(self, table: Tensor, seen: Tensor) -> None:
        """Take vectors ``(words, width)`` and the words ``(words,)`` bool that have one, and learn none from now on."""
        with torch.no_grad():
            self.table.weight.copy_(table)
            self.seen.copy_(seen)
        self.table.weight.requires_grad_(False)
        self.held = True

    def forward(self, ids: Tensor) -> Tensor:
        """Return vectors ``(N, L, D)`` of ids ``(N, L)`` int64; padding is a zero vector.

        Synthetic texts are floating point: distributions over the words ``(N, L, words)``, whose mean vectors are
        returned, or the vectors ``(N, L, D)`` themselves; told apart by the last dimension, distributions first.

        Raises:
            ValueError: a synthetic text is neither.
        """
        if ids.is_floating_point():
            words, width = self.table.weight.shape
            if ids.ndim != 3 or ids.shape[2] not in (words, width):
                shape = tuple(ids.shape)
                raise ValueError(f"texts must be distributions (N, L, {words}) or vectors (N, L, {width}), not {shape}")
            return ids @ self.table.weight if ids.shape[2] == words else ids
        ids = torch.where(ids < len(self.seen), ids, UNKNOWN)
        if self.training and not self.held:
            self.seen[ids] = True
            gone = (torch.rand(ids.shape, device=ids.device) < self.dropped) & (ids != PAD)
            ids = torch.where(gone, UNKNOWN, ids)
        else:
            ids = torch.where(self.seen[ids], ids, UNKNOWN)
        vectors: Tensor = self.table(ids)
        return vectors


def mean_over_words(x: Tensor, ids: Tensor) -> Tensor:
    """Return the mean of ``(N, L, D)`` over the places that are not padding: ``(N, D)``.

    `ids` are what `WordVectors` read: ids, or floating point members, all of whose places count.
    """
    if ids.is_floating_point():
        return x.mean(1)
    real = (ids != PAD).unsqueeze(2)
    return (x * real).sum(1) / real.sum(1).clamp(min=1)
