from statistics import mean

import pytest
import torch
from toys import ONE_VALIDATION, problem, session_in, started

from ddcore.methods.dm import DM
from ddcore.options import changed
from ddcore.synthesis.outer_loop import distilled_set

SHORT = {"net": "mlp", "real_batch": 8, **ONE_VALIDATION}


def whole(run, step):
    """The loss and the gradient of a step, as the outer loop puts its shards together."""
    parts = [run.gradient(shard) for shard in run.shards(step)]
    return mean([part.values["loss"] for part in parts]), torch.stack([part.gradients["x"] for part in parts]).mean(0)


@pytest.mark.parametrize("shards", [1, 8])
def test_a_steps_gradient_is_that_of_a_plain_loop(toy, shards):
    run = started(changed(DM(), {**SHORT, "augment": "none", "shards": shards}), toy, 4)
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
    method = changed(DM(), {**SHORT, "steps": 30, "image_rate": 0.1, "augment": "flip", "networks": 2})
    seen = []
    session = session_in(tmp_path, lambda step, total, values: seen.append(values["loss"]))
    made = distilled_set(method, problem(toy, 4), session)
    assert sum(seen[-5:]) < 0.8 * sum(seen[:5]) and made.method == "dm" and made.labels == "hard"
