import pytest
import torch
from accelerate import Accelerator

from ddcore.distillation import distill
from ddcore.methods.dm import DM, Shard, distance
from ddcore.runs import Run

CPU = torch.device("cpu")
SHORT = {"net": "mlp", "real_batch": 8, "check_steps": 10, "checks": 1, "check_networks": 1}


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


def test_a_steps_gradient_is_that_of_a_plain_loop(toy):
    run = DM(**SHORT, augment="none").start(toy, 4, None, 0, CPU)
    part = run.gradient(Shard(3, 0))
    net = run.fresh("embed", 3, 0)
    x = run.x.clone().requires_grad_()
    loss = 0
    for k, pair in enumerate(run.pairs(x, 3, 0)):
        assert pair.real_y.tolist() == [k] * 8
        loss = loss + (net.features(pair.real).mean(0) - net.features(x[run.y == k]).mean(0)).square().sum()
    assert part.values["loss"] == pytest.approx(float(loss.detach()), rel=1e-5)
    torch.testing.assert_close(part.gradients["x"], torch.autograd.grad(loss, x)[0], rtol=1e-5, atol=1e-7)


def test_the_distance_falls(toy, tmp_path):
    method = DM(**SHORT, steps=30, image_rate=0.1, augment="flip", networks=2)
    seen = []
    made = distill(method, "dm", toy, 4, None, Run.start(tmp_path, "distill", {}), 0, Accelerator(cpu=True),
                   lambda step, total, values: seen.append(values["loss"]))  # fmt: skip
    assert sum(seen[-5:]) < 0.8 * sum(seen[:5]) and made.method == "dm" and made.labels == "hard"
