"""The inner step on a GPU, with and without CUDA graphs, beside float64, which takes no kernels of ours."""

import copy

import pytest
import torch

from ddcore.benchmarks.matching import noise
from ddcore.draws import generator
from ddcore.kernels import Rule
from ddcore.nets import build_net
from ddcore.runtime import precise
from ddcore.unroll import Flat, RealLoss, State, Step, Training, Unroll, meta_gradient

NETS = ("convnet", "convnet-128", "lenet", "mlp", "resnet-gn")
# A micro-batch holds 500 members: one part, one and a remainder, less than one.
SIZES = (500, 600, 100)
ROUNDS = 5
# ReLU takes the other side of its kink for a pixel within rounding of it; then all of its derivative differs.
CLOSE = {"ieee": 1e-2, "tf32": 0.15}


def drawn(n, *key, device):
    draws = generator("gpu test", n, *key)
    return (
        torch.randn(n, 1, 28, 28, generator=draws).to(device),
        torch.randn(n, 10, generator=draws).softmax(1).to(device),
    )


def apart(ours, right):
    return float((ours.double() - right).norm() / right.norm())


@pytest.mark.parametrize("mode", CLOSE)
@pytest.mark.parametrize("graphs", ["on", "off"])
@pytest.mark.parametrize("name", NETS)
def test_a_step_is_that_of_float64_at_every_size(gpu, name, graphs, mode):
    net = build_net(name, noise(20), 0).to(gpu)
    step = Step(Flat(net), micro=500, graphs=graphs)
    exact = Step(Flat(copy.deepcopy(net).double()), micro=100, graphs="off")
    theta = step.flat.start()
    along = torch.randn(len(theta), generator=generator("gpu test", "along")).to(gpu)
    worst = {}
    for number in range(ROUNDS):
        for n in SIZES:
            x, y = drawn(n, number, device=gpu)
            with precise(mode):
                g, loss = step.gradient(theta, x, y)
                bend = step.curvature(theta, along, x, y)
            wide = [each.double() for each in (theta, along, x, y)]
            right, right_loss = exact.gradient(wide[0], *wide[2:])
            wanted = exact.curvature(*wide)
            assert abs(float(loss) - float(right_loss)) < 1e-2
            found = {
                "g": (g, right),
                "Hv": (bend.theta, wanted.theta),
                "x": (bend.x, wanted.x),
                "y": (bend.y, wanted.y),
            }
            for part, pair in found.items():
                worst[part] = max(worst.get(part, 0.0), apart(*pair))
    print(name, graphs, mode, {part: f"{error:.1e}" for part, error in worst.items()})
    assert max(worst.values()) < CLOSE[mode]


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("name", ["convnet", "mlp"])
def test_a_meta_gradient_is_that_of_float64(gpu, name, optimiser):
    net, length = build_net(name, noise(20), 0).to(gpu), 5
    answers = {}
    for graphs, kind in (("on", torch.float32), ("off", torch.float32), ("off", torch.float64)):
        step = Step(Flat(copy.deepcopy(net).to(kind)), micro=50, graphs=graphs)
        (x, y), (real, real_y) = (tuple(t.to(kind) for t in drawn(n, "set", device=gpu)) for n in (120, 130))
        training = Training(step, torch.arange(120, device=gpu).expand(length, -1), Rule(optimiser, 0.9))
        rates = torch.full((length,), 0.01 if optimiser == "sgd" else 0.001, device=gpu, dtype=kind)
        start = State.fresh(step.flat.start(), training.rule)
        unroll = Unroll(training, start, x, y, rates, RealLoss(step, real, real_y))
        answers[graphs, kind] = meta_gradient(unroll)
    right = answers["off", torch.float64]
    for graphs in ("on", "off"):
        ours = answers[graphs, torch.float32]
        errors = {part: apart(getattr(ours, part), getattr(right, part)) for part in ("x", "y", "rates", "theta")}
        print(name, optimiser, graphs, {part: f"{error:.1e}" for part, error in errors.items()})
        # Adam divides by the root of a mean square that is near zero where a derivative is rounding: 0.16 on an H200.
        assert max(errors.values()) < (1e-2 if optimiser == "sgd" else 0.3)


def test_float64_on_the_gpu_is_that_of_the_cpu(gpu):
    net = build_net("convnet", noise(20), 0).double()
    x, y = (each.double() for each in drawn(20, "both", device="cpu"))
    steps = [Step(Flat(copy.deepcopy(net).to(device)), graphs="off") for device in ("cpu", gpu)]
    theta = steps[0].flat.start()
    cpu, other = (
        step.curvature(*(each.to(step.flat.device) for each in (theta, theta.flip(0), x, y))) for step in steps
    )
    assert apart(other.theta.cpu(), cpu.theta) < 1e-9 and apart(other.x.cpu(), cpu.x) < 1e-9
