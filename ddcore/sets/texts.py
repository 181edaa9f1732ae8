"""The source texts of a set's members as tensors, so that they lie in set.safetensors and its digest covers them.

``texts.values`` ``(B,)`` uint8 holds the texts as UTF-8, one after another; text i is
``values[offsets[i]:offsets[i + 1]]`` of ``texts.offsets`` ``(N + 1,)`` int64. A file of lines beside the tensors would
be no smaller, and could be lost or exchanged.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch

from ddcore.runtime import State


def packed_texts(texts: Sequence[str]) -> State:
    """Return N texts as ``values`` ``(B,)`` uint8 and ``offsets`` ``(N + 1,)`` int64."""
    parts = [text.encode() for text in texts]
    values = torch.from_numpy(np.frombuffer(b"".join(parts), np.uint8).copy())
    return {"values": values, "offsets": torch.tensor([0, *map(len, parts)]).cumsum(0)}


def unpacked_texts(tensors: State) -> tuple[str, ...]:
    """Return the texts of what `packed_texts` returned; none of no tensors.

    Raises:
        ValueError: the tensors do not fit one another, or hold no UTF-8 text.
        KeyError: one of two is missing.
    """
    if not tensors:
        return ()
    values, offsets = tensors["values"], tensors["offsets"]
    sound = values.ndim == offsets.ndim == 1 and values.dtype == torch.uint8 and offsets.dtype == torch.int64
    if not sound or not len(offsets) or offsets[0] != 0 or offsets[-1] != len(values) or (offsets.diff() < 0).any():
        raise ValueError("the offsets of the source texts do not fit them")
    whole, ends = values.numpy().tobytes(), offsets.tolist()
    try:
        return tuple(whole[begin:end].decode() for begin, end in pairwise(ends))
    except UnicodeDecodeError as error:
        raise ValueError("a source text is not UTF-8") from error
