"""A small attention network on words."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddcore.data import PAD
from ddcore.nets.words import WordVectors, mean_over_words

# Texts per chunk: the attention scores of one text are heads x L x L numbers.
CHUNK = 100


class Attention(nn.Module):
    """Word and position vectors, one block of self-attention and a hidden layer, mean over the text, logits.

    Attention is written in elementary operations, so that it can be differentiated twice on every device.

    Source: Vaswani et al. 2017. Deviates: one block, pre-norm, learned positions, mean pooling.
    """

    def __init__(self, classes: int, words: int, longest: int, width: int = 64, heads: int = 4) -> None:
        super().__init__()
        self.words = WordVectors(words, width, dropped=0.2)
        self.places = nn.Parameter(torch.randn(longest, width) * 0.02)
        self.heads = heads
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)])
        self.inward = nn.Linear(width, 3 * width)
        self.outward = nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.drop = nn.Dropout(0.3)
        self.out = nn.Linear(width, classes)

    def features(self, ids: Tensor) -> Tensor:
        """Return the pooled last block ``(N, D)`` for ids ``(N, L)`` int64, L at most `longest`."""
        x = self.drop(self.words(ids) + self.places[: ids.shape[1]])
        parts = zip(self.norms[0](x).split(CHUNK), ids.split(CHUNK), strict=True)
        x = x + self.drop(torch.cat([self._attend(part, its_ids) for part, its_ids in parts]))
        x = x + self.drop(self.narrow(F.relu(self.wide(self.norms[1](x)))))
        return self.drop(mean_over_words(self.norms[2](x), ids))

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits ``(N, C)`` for ids ``(N, L)`` int64, padded with 0, or synthetic texts; see `WordVectors`."""
        return self.out(self.features(ids))

    def _attend(self, x: Tensor, ids: Tensor) -> Tensor:
        n, length, width = x.shape
        parts = self.inward(x).view(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        score = query @ key.transpose(2, 3) / (width // self.heads) ** 0.5
        if not ids.is_floating_point():
            # Not -inf: every score of a text without words is masked, and its softmax would be NaN.
            score = score.masked_fill((ids == PAD)[:, None, None], -1e4)
        mixed = (score.softmax(3) @ value).transpose(1, 2).reshape(n, length, width)
        return self.outward(mixed)
