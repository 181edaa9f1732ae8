"""N-grams of token ids, each encoded as one integer."""

import torch
from torch import Tensor

from ddcore.data import Tokens

# Ids are below this and padding (0) never occurs inside a text, so n-grams of different lengths never collide.
BASE = 2**17
LONGEST = 3


def ngrams(x: Tokens, longest: int) -> tuple[Tensor, Tensor]:
    """Return every n-gram of up to `longest` tokens inside one sequence.

    Args:
        x: sequences of ids from 1 to `BASE` - 1.
        longest: 1 to `LONGEST`; four ids would not fit into 63 bits.

    Returns:
        keys: ``(M,)`` int64, ``a``, ``a BASE + b`` or ``(a BASE + b) BASE + c``.
        rows: ``(M,)`` int64, the sequence of each.
    """
    row = torch.repeat_interleave(torch.arange(len(x), device=x.device), x.lengths)
    token = x.values.long()
    key, keys, rows = token, [token], [row]
    for n in range(1, longest):
        key = key[:-1] * BASE + token[n:]
        inside = row[: len(key)] == row[n:]
        keys.append(key[inside])
        rows.append(row[n:][inside])
    return torch.cat(keys), torch.cat(rows)


def presence(keys: Tensor, rows: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the different n-grams and the sequences that hold them.

    Args:
        keys, rows: of `ngrams`.
        count: N, the number of sequences.

    Returns:
        vocabulary: ``(F,)`` int64 different keys, ascending.
        column, row: ``(P,)`` int64 each; sequence ``row[i]`` holds ``vocabulary[column[i]]``. Each pair occurs once,
            ordered by column, then by row.
    """
    vocabulary, column = torch.unique(keys, return_inverse=True)
    pair = torch.unique(column * count + rows)
    return vocabulary, pair // count, pair % count


def known_presence(keys: Tensor, rows: Tensor, vocabulary: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``column, row`` as `presence` does, for a fixed vocabulary; ordered by row, then by column."""
    column = torch.searchsorted(vocabulary, keys).clamp(max=len(vocabulary) - 1)
    known = vocabulary[column] == keys
    pair = torch.unique(rows[known] * len(vocabulary) + column[known])
    return pair % len(vocabulary), pair // len(vocabulary)
