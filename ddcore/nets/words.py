"""Word vectors that record which words occurred in training."""

import torch
from torch import Tensor, nn

from ddcore.data import PAD, UNKNOWN, Task

MOST_WORDS = 30_000


def words_of(task: Task) -> int:
    """Return the number of ids with their own vector: the most frequent words of the task."""
    assert task.tokeniser is not None
    return min(MOST_WORDS, task.tokeniser.get_vocab_size())


class WordVectors(nn.Module):
    """An embedding of the most frequent words; rarer words and words that training never saw are `UNKNOWN`.

    Ids are ordered by falling frequency, so the first ``words`` ids are the most frequent ones. A small set contains
    only a few thousand words; the untrained random vectors of the others would be noise. In training mode, words are
    randomly replaced by the unknown word, so that its vector is trained too.
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
        """Fix the vectors ``(words, width)`` and the words ``(words,)`` bool that have a learned one."""
        with torch.no_grad():
            self.table.weight.copy_(table)
            self.seen.copy_(seen)
        self.table.weight.requires_grad_(False)
        self.held = True

    def forward(self, ids: Tensor) -> Tensor:
        """Return vectors ``(N, L, D)`` of ids ``(N, L)`` int64; padding is a zero vector.

        Synthetic texts are floating point: distributions over the words ``(N, L, words)``, whose mean vectors are
        returned, or the vectors ``(N, L, D)`` themselves. The last dimension decides; distributions take precedence.

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
            dropped = (torch.rand(ids.shape, device=ids.device) < self.dropped) & (ids != PAD)
            ids = torch.where(dropped, UNKNOWN, ids)
        else:
            ids = torch.where(self.seen[ids], ids, UNKNOWN)
        return self.table(ids)


def mean_over_words(x: Tensor, ids: Tensor) -> Tensor:
    """Return the mean of ``(N, L, D)`` over the positions that are not padding: ``(N, D)``.

    `ids` are the input of `WordVectors`: ids, or floating point members, which have no padding.
    """
    if ids.is_floating_point():
        return x.mean(1)
    real = (ids != PAD).unsqueeze(2)
    return (x * real).sum(1) / real.sum(1).clamp(min=1)
