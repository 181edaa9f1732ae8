import torch

from ddcore.benchmarks.mixed_mode import mixed_mode


def loss(theta, x, y):
    return ((x @ theta - y[:, 0]) ** 4).mean()


def outer(theta):
    return theta.sin().sum()


def test_it_is_the_gradient_through_the_graph():
    draws = torch.Generator().manual_seed(0)
    theta, x, y = (torch.randn(*shape, generator=draws, dtype=torch.float64) for shape in ((3,), (5, 3), (5, 1)))
    leaves = tuple(each.requires_grad_() for each in (x, y, torch.full((4,), 0.01, dtype=torch.float64)))
    now, moment = theta.clone().requires_grad_(), 0
    for rate in leaves[2]:
        (g,) = torch.autograd.grad(loss(now, x, y), now, create_graph=True)
        moment = 0.9 * moment + g
        now = now - rate * moment
    right = torch.autograd.grad(outer(now), leaves)
    ours = mixed_mode(loss, theta, leaves, 0.9, outer)
    assert all(torch.allclose(a, b, rtol=1e-9) for a, b in zip(ours, right, strict=True))
