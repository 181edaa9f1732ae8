import torch

from ddcore.draws import generator
from ddcore.problem import Problem
from ddcore.runtime.session import Session
from ddcore.selection.features import Blocks
from ddcore.selection.k_means import KMeans, cluster, nearest_rows
from ddcore.training.teacher import Teacher


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


def test_the_members_of_each_class_nearest_to_its_centres_are_chosen(toy):
    features = torch.nn.functional.normalize(torch.randn(len(toy.train), 3, generator=generator(2)))
    teacher = Teacher(torch.zeros(len(toy.train), 2), features, "made by hand", "nowhere")
    problem = Problem(toy, 6, toy.fit, teacher, 5)
    expected = []
    for k in (0, 1):
        members = toy.fit[toy.train.y[toy.fit] == k]
        x = Blocks.of(features[members])
        expected.append(members[nearest_rows(x, cluster(x, 3, 20, generator(5, "k-means", k)))])
    assert torch.equal(KMeans().select(problem, Session()), torch.cat(expected))
