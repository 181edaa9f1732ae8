"""Rows of many members, collected batch by batch."""

from collections.abc import Iterable

import torch
from torch import Tensor


def collected(parts: Iterable[Tensor], count: int) -> Tensor:
    """Return the rows of all parts, copied one after the other into one tensor ``(count, ...)``.

    A list of the parts would do the same, but each small part lies between the large tensors of its batch, so that
    the C library cannot use their memory again: a pass over 2 GB of images took 5 GB.

    Args:
        parts: ``(n, ...)`` each, of one dtype, on one device.
        count: of all rows.

    Raises:
        ValueError: the parts have another number of rows.
    """
    whole, done = torch.empty(0), 0
    for part in parts:
        if not done:
            whole = part.new_empty(count, *part.shape[1:])
        end = done + len(part)
        if end > count:
            raise ValueError(f"more than {count} rows")
        whole[done:end] = part
        done = end
    if done != count:
        raise ValueError(f"{done} rows in place of {count}")
    return whole
