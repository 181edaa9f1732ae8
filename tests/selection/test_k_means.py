import torch

from ddcore.draws import generator
from ddcore.selection.features import Blocks
from ddcore.selection.k_means import cluster, nearest_rows


def test_centres_by_hand():
    x = torch.tensor([[0.0], [1.0], [10.0], [12.0]])
    assert sorted(cluster(Blocks.of(x), 2, 10, generator(0)).flatten().tolist()) == [0.5, 11.0]


def test_nearest_rows_by_hand():
    # Both centres are nearest to row 1; the second gets the nearest one left.
    x = torch.tensor([[0.0], [2.0], [5.0]])
    assert nearest_rows(Blocks.of(x), torch.tensor([[2.1], [1.9]])).tolist() == [1, 0]


def test_rounds_lower_the_distances():
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    cost = [
        torch.cdist(x, cluster(Blocks.of(x), 8, rounds, generator(1))).min(1).values.square().sum()
        for rounds in (1, 5, 30)
    ]
    assert cost[0] > cost[1] >= cost[2]


def test_a_centre_that_loses_its_members_stays_where_it_was():
    # Two of three centres begin at the same place, and one of them owns nothing.
    x = torch.tensor([[5.0], [5.0], [9.0]])
    assert sorted(cluster(Blocks.of(x), 3, 4, generator(0)).flatten().tolist()) == [5.0, 5.0, 9.0]


def test_the_classes_moments_give_a_gpu_the_same_centres(monkeypatch):
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    right = cluster(Blocks.of(x), 8, 5, generator(1))
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    monkeypatch.setenv("KERNELS", "reference")
    torch.testing.assert_close(cluster(Blocks.of(x), 8, 5, generator(1)), right)
