"""Cutting texts into clauses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ddcore.data.tokens import Tokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CLOSING = ".,;:!?。，、；：！？"
SEPARATING = '()"（）「」'


def clauses(x: Tokens, tokeniser: Tokenizer, shortest: int, longest: int) -> tuple[Tokens, Tensor]:
    """Return all clauses of permitted length, and the text of each.

    A clause ends with one of ``.,;:!?`` or their wide forms, which belongs to it, or at a bracket or quotation mark,
    which does not.

    Args:
        x: N texts.
        tokeniser: of their ids.
        shortest, longest: in tokens, the closing mark included.

    Returns:
        The clauses, in the order of the texts, and ``(K,)`` int64: the index of the text that each comes from.
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
    return cut[fitting], text[begins][fitting]
