"""Cutting texts into clauses."""

import torch
from tokenizers import Tokenizer
from torch import Tensor

from ddcore.data.tokens import Tokens

CLOSING = ".,;:!?"
BETWEEN = '()"'


def clauses(x: Tokens, tokeniser: Tokenizer, shortest: int, longest: int) -> tuple[Tokens, Tensor]:
    """Return the clauses of all texts that are neither too short nor too long, and where each comes from.

    A clause ends with one of ``.,;:!?``, which belongs to it, or at a bracket or quotation mark, which does not.

    Args:
        x: N texts.
        tokeniser: made their ids.
        shortest, longest: in tokens, the closing mark included.

    Returns:
        The clauses, in the order of the texts, and ``(K,)`` int64: the number of each one's text.
    """
    closing, between = (_ids(tokeniser, signs, x) for signs in (CLOSING, BETWEEN))
    text = torch.repeat_interleave(torch.arange(len(x), device=x.device), x.lengths)
    dropped = torch.isin(x.values, between)
    ends = dropped | torch.isin(x.values, closing)
    begins = torch.ones_like(ends)
    begins[1:] = ends[:-1] | (text[1:] != text[:-1])
    number = begins.cumsum(0) - 1
    count = int(begins.sum())
    lengths = torch.bincount(number[~dropped], minlength=count)
    cut = Tokens(x.values[~dropped], torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]))
    fitting = ((lengths >= shortest) & (lengths <= longest)).nonzero().flatten()
    return cut[fitting], text[begins][fitting]


def _ids(tokeniser: Tokenizer, signs: str, x: Tokens) -> Tensor:
    found = [tokeniser.token_to_id(sign) for sign in signs]
    return torch.tensor([i for i in found if i is not None], dtype=x.values.dtype, device=x.device)
