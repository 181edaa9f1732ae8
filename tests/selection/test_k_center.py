import torch

from ddcore.selection.features import Blocks
from ddcore.selection.k_center import spread_out


def test_by_hand():
    # Mean 3.25: first 4, then the farthest, 10, then 0 (4 away), then 1 rather than a row twice.
    x = torch.tensor([[0.0], [4.0], [10.0], [-1.0]])
    assert spread_out(Blocks.of(x), 4).tolist() == [1, 2, 3, 0]


def test_equal_rows_are_still_taken_once():
    assert sorted(spread_out(Blocks.of(torch.ones(5, 2)), 5).tolist()) == [0, 1, 2, 3, 4]


def test_covers_within_twice_the_optimum():
    corners = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 9.0]])
    x = torch.cat([corners + shift for shift in torch.rand(20, 1, 2, generator=torch.Generator().manual_seed(1))])
    chosen = x[spread_out(Blocks.of(x), 4)]
    assert float(torch.cdist(x, chosen).min(1).values.max()) < 2
