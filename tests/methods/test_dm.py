from statistics import mean

import pytest
import torch
from accelerate import Accelerator

from ddcore.methods.dm import DM
from ddcore.runtime.run_folder import Run
from ddcore.synthesis.outer_loop import distill

CPU = torch.device("cpu")
SHORT = {"net": "mlp", "real_batch": 8, "check_steps": 10, "checks": 1, "check_networks": 1}


def whole(run, step):
    """The loss and the gradient of a step, as the outer loop puts its shards together."""
    parts = [run.gradient(shard) for shard in run.shards(step)]
    return mean([part.values["loss"] for part in parts]), torch.stack([part.gradients["x"] for part in parts]).mean(0)


@pytest.mark.parametrize("shards", [1, 8])
def test_a_steps_gradient_is_that_of_a_plain_loop(toy, shards):
    run = DM(**SHORT, augment="none", shards=shards).start(toy, 4, None, 0, CPU)
    value, slope = whole(run, 3)
    net = run.fresh("embed", 3, 0)
    x = run.x.clone().requires_grad_()
    loss = 0
    for k, pair in enumerate(pair for shard in run.shards(3) for pair in run.pairs(x, shard)):
        assert pair.real_y.tolist() == [k] * 8
        loss = loss + (net.features(pair.real).mean(0) - net.features(x[run.y == k]).mean(0)).square().sum()
    assert value == pytest.approx(float(loss.detach()), rel=1e-5)
    torch.testing.assert_close(slope, torch.autograd.grad(loss, x)[0], rtol=1e-5, atol=1e-7)


def test_the_distance_falls(toy, tmp_path):
    method = DM(**SHORT, steps=30, image_rate=0.1, augment="flip", networks=2)
    seen = []
    made = distill(
        method,
        "dm",
        toy,
        4,
        None,
        Run.start(tmp_path, "distill", {}),
        0,
        Accelerator(cpu=True),
        lambda step, total, values: seen.append(values["loss"]),
    )
    assert sum(seen[-5:]) < 0.8 * sum(seen[:5]) and made.method == "dm" and made.labels == "hard"
