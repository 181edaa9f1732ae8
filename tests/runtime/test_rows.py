import weakref
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from ddcore.runtime import collected


@pytest.mark.parametrize("sizes", [[4, 4, 1], [9], [0, 9], [0]])
def test_rows_are_collected_in_order_with_their_dtype(sizes: list[int]) -> None:
    rows = torch.arange(2 * sum(sizes), dtype=torch.int16).view(-1, 2)
    assert torch.equal(collected(rows.split(sizes), len(rows)), rows)
    assert collected(rows.split(sizes), len(rows)).dtype == torch.int16


def test_no_part_is_held_while_the_next_ones_are_made() -> None:
    """A small part that is held keeps the large tensors around it from being used again."""
    made: list[weakref.ref[Tensor]] = []

    def parts() -> Iterator[Tensor]:
        for k in range(3):
            assert all(each() is None for each in made[:-1])
            part = torch.full((2,), k)
            made.append(weakref.ref(part))
            yield part
            del part

    assert collected(parts(), 6).tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("count", [3, 5])
def test_another_number_of_rows_is_an_error(count: int) -> None:
    with pytest.raises(ValueError, match="rows"):
        collected(torch.arange(4).split(2), count)
