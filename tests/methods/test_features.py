import pytest
import torch

from ddcore.methods.features import PIECE, distance, embedded, features_of
from ddcore.methods.matching import Pair
from ddcore.nets.registry import build_net


def features(n, seed):
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(n, 6, generator=draws, dtype=torch.float64), torch.arange(n) % 3


def by_hand(real, real_y, made, y, moments):
    """The distance as the paper writes it, with the covariances spelled out."""
    total = 0
    for k in range(3):
        a, b = real[real_y == k], made[y == k]
        total = total + ((a.mean(0) - b.mean(0)) ** 2).sum()
        if moments == 2:
            apart = torch.cov(a.T, correction=0) - torch.cov(b.T, correction=0)
            total = total + (apart**2).sum() / (a**2).mean()
    return total


@pytest.mark.parametrize("moments", [1, 2])
def test_the_distance_and_its_gradient_by_hand(moments):
    (real, real_y), (made, y) = features(30, 0), features(12, 1)
    made.requires_grad_()
    ours, right = distance(real, real_y, made, y, 3, moments), by_hand(real, real_y, made, y, moments)
    torch.testing.assert_close(ours, right)
    torch.testing.assert_close(*(torch.autograd.grad(each, made)[0] for each in (ours, right)))


def test_members_of_each_pair_are_numbered_whatever_their_class(toy):
    net = build_net("mlp", toy, 0)
    x = torch.randn(9, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    pairs = [Pair(x[:3], torch.full((3,), k), x[3 + k : 5 + k], torch.full((2,), k)) for k in (4, 1)]
    real, real_y, made, y = features_of(net, pairs)
    assert real_y.tolist() == [0, 0, 0, 1, 1, 1] and y.tolist() == [0, 0, 1, 1]
    assert not real.requires_grad and made.requires_grad
    torch.testing.assert_close(made[2:], net.features(x[4:6]))


@pytest.mark.parametrize("net", ["convnet", "resnet-s2d"])
def test_a_few_at_a_time_give_what_all_at_once_give(toy, net):
    built = build_net(net, toy, 0).train()
    x = torch.randn(PIECE + 5, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(embedded(built, x), built.features(x).flatten(1), rtol=1e-4, atol=1e-5)
