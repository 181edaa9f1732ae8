"""Cutting texts into clauses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ddcore.data.tokens import Tokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CLOSING = ".,;:!?。，、；：！？"
SEPARATING = '()"（）「」'


@dataclass(frozen=True)
class Clauses:
    """K clauses and where each comes from.

    Attributes:
        tokens: the clauses.
        text: ``(K,)`` int64, the index of the text that each comes from.
        begin: ``(K,)`` int64, the place of its first token in that text.
    """

    tokens: Tokens
    text: Tensor
    begin: Tensor

    def __len__(self) -> int:
        return len(self.text)

    def __getitem__(self, index: Tensor) -> Clauses:
        """Return the clauses at the indices ``(K,)`` int64."""
        return Clauses(self.tokens[index], self.text[index], self.begin[index])

    def written(self, texts: Sequence[str], tokeniser: Tokenizer) -> list[str]:
        """Return each clause as it stands in its text: with case, blanks and punctuation.

        Args:
            texts: the source texts of the clauses, before tokenisation.
            tokeniser: of the clauses.
        """
        numbers, lengths = self.text.tolist(), self.tokens.lengths.tolist()
        used = sorted(set(numbers))
        encodings = dict(zip(used, tokeniser.encode_batch([texts[number] for number in used]), strict=True))
        parts = []
        for number, begin, length in zip(numbers, self.begin.tolist(), lengths, strict=True):
            spans = encodings[number].offsets[begin : begin + length]
            parts.append(texts[number][spans[0][0] : spans[-1][1]])
        return parts


def clauses(x: Tokens, tokeniser: Tokenizer, shortest: int, longest: int) -> Clauses:
    """Return all clauses of permitted length, in the order of the texts.

    A clause ends with one of ``.,;:!?`` or their wide forms, which belongs to it, or at a bracket or quotation mark,
    which does not.

    Args:
        x: N texts.
        tokeniser: of their ids.
        shortest, longest: in tokens, the closing mark included.
    """
    vocabulary = tokeniser.get_vocab()
    closing, separating = (
        torch.tensor([vocabulary[mark] for mark in marks if mark in vocabulary], dtype=x.values.dtype, device=x.device)
        for marks in (CLOSING, SEPARATING)
    )
    text = torch.repeat_interleave(torch.arange(len(x), device=x.device), x.lengths)
    dropped = torch.isin(x.values, separating)
    ends = dropped | torch.isin(x.values, closing)
    begins = torch.ones_like(ends)
    begins[1:] = ends[:-1] | (text[1:] != text[:-1])
    number = begins.cumsum(0) - 1
    count = int(begins.sum())
    lengths = torch.bincount(number[~dropped], minlength=count)
    cut = Tokens(x.values[~dropped], torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]))
    fitting = ((lengths >= shortest) & (lengths <= longest)).nonzero().flatten()
    origin = text[begins]
    place = begins.nonzero().flatten() - x.offsets[origin]
    return Clauses(cut, origin, place)[fitting]
