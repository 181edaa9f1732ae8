import pytest
import torch

from ddcore.draws import generator
from ddcore.selection.features import Blocks
from ddcore.selection.herding import herd
from ddcore.selection.information import principal
from ddcore.selection.k_center import spread_out
from ddcore.selection.k_means import cluster, nearest_rows
from ddcore.selection.mutual_information import informative

# Whole numbers, whose sums are exact in any order.
ROWS = torch.randint(-4, 5, (90, 4), generator=torch.Generator().manual_seed(0)).float()


@pytest.mark.parametrize("size", [7, 30, 89])
def test_blocks_give_what_one_block_gives(size):
    x, whole = Blocks(90, size, lambda rows: ROWS[rows].clone()), Blocks.of(ROWS)
    assert len(x) == len(whole) == 90 and next(len(rows) for _, rows in x) == size
    assert torch.equal(x.mean(), whole.mean()) and torch.equal(x[torch.tensor(80)], ROWS[80])
    centres = cluster(whole, 6, 0, generator(1))
    assert torch.equal(cluster(x, 6, 0, generator(1)), centres)
    torch.testing.assert_close(cluster(x, 6, 5, generator(1)), cluster(whole, 6, 5, generator(1)))
    assert torch.equal(nearest_rows(x, centres), nearest_rows(whole, centres))
    information = torch.arange(90.0, dtype=torch.float64)
    assert torch.equal(informative(information, x, 9, 1.0), informative(information, whole, 9, 1.0))
    assert torch.equal(spread_out(x, 1), spread_out(whole, 1)) and len(herd(x, 9).unique()) == 9
    torch.testing.assert_close(principal(x, 2).abs(), principal(whole, 2).abs(), rtol=1e-3, atol=1e-3)
    assert torch.equal(x.changed(lambda rows: rows + 1)[3], ROWS[3] + 1)
