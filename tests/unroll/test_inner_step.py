import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ddcore.errors import DDCoreError
from ddcore.nets.convnet import ConvNet
from ddcore.nets.resnet_gn import ResNetGN
from ddcore.unroll.flat_params import Flat
from ddcore.unroll.inner_step import Curvature, RealLoss, Step, micro_batch, soft_cross_entropy


def draw(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)), dtype=torch.float64)


def case(net, shape=(1, 8, 8), members=5):
    torch.manual_seed(0)
    flat = Flat(net().double())
    theta = flat.start()
    return flat, theta, draw(theta.numel()), draw(members, *shape), draw(members, 3).softmax(1)


def by_double_backward(step, theta, along, x, y):
    leaves = [each.clone().requires_grad_() for each in (theta, x, y)]
    loss = step.loss(step.flat(leaves[0], leaves[1]), leaves[2]).mean()
    (g,) = torch.autograd.grad(loss, leaves[0], create_graph=True)
    slope = torch.dot(g, along)
    return Curvature(slope.detach(), *torch.autograd.grad(slope, leaves))


def assert_same(found, right, rtol=1e-10):
    for name in ("slope", "theta", "x", "y"):
        a, b = getattr(found, name), getattr(right, name)
        assert float((a - b).norm() / b.norm()) < rtol, name


NETS = {
    "convnet": (lambda: ConvNet((1, 8, 8), 3, 4), (1, 8, 8)),
    "convnet of odd planes": (lambda: ConvNet((2, 28, 28), 3, 2), (2, 28, 28)),
    "resnet-gn": (lambda: ResNetGN((1, 8, 8), 3, (4, 6, 8), 2), (1, 8, 8)),
    "smooth": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.Tanh(), nn.Linear(5, 3)), (1, 8, 8)),
}


@pytest.mark.parametrize("micro", [1, 2, None])
@pytest.mark.parametrize("name", NETS)
def test_derivatives_are_those_of_double_backward(name, micro):
    net, shape = NETS[name]
    flat, theta, along, x, y = case(net, shape)
    step = Step(flat, micro=micro)
    right = by_double_backward(step, theta, along, x, y)
    assert_same(step.curvature(theta, along, x, y), right)
    g, loss = step.gradient(theta, x, y)
    torch.testing.assert_close(torch.dot(g, along), right.slope)
    torch.testing.assert_close(loss, soft_cross_entropy(flat(theta, x), y).mean())


def test_a_networks_own_derivatives_are_used_and_agree_with_the_general_ones(monkeypatch):
    flat, theta, along, x, y = case(NETS["convnet"][0])
    own = Step(flat).curvature(theta, along, x, y)
    monkeypatch.delattr(ConvNet, "curvature")
    general = Step(flat).curvature(theta, along, x, y)
    assert_same(own, general, 1e-12)
    monkeypatch.setattr(ConvNet, "curvature", lambda *given: 1 / 0, raising=False)
    with pytest.raises(ZeroDivisionError):
        Step(flat).curvature(theta, along, x, y)


def test_a_loss_of_ones_own():
    flat, theta, along, x, y = case(NETS["convnet"][0])

    def squared(logits, y):
        return (logits - y).square().sum(1)

    step = Step(flat, squared)
    assert_same(step.curvature(theta, along, x, y), by_double_backward(step, theta, along, x, y))


class Sampled(nn.Module):
    """A network with an operation that has no forward derivative."""

    def __init__(self):
        super().__init__()
        self.turn = nn.Parameter(torch.eye(2, 3))
        self.out = nn.Linear(64, 3)

    def forward(self, x):
        grid = F.affine_grid(self.turn.expand(len(x), 2, 3), list(x.shape), align_corners=False)
        return self.out(F.grid_sample(x, grid, align_corners=False).flatten(1))


def test_an_operation_without_a_forward_derivative_is_named():
    flat, theta, along, x, y = case(Sampled)
    with pytest.raises(DDCoreError, match=r"operation of Sampled has no forward derivative.*mode 'graph'") as caught:
        Step(flat).curvature(theta, along, x, y)
    assert "\n" not in str(caught.value)


@pytest.fixture
def dynamo(monkeypatch):
    monkeypatch.delenv("TORCHDYNAMO_DISABLE", raising=False)
    with torch._dynamo.config.patch(disable=False):
        yield


class OwnRule(torch.autograd.Function):
    """The square, with a derivative and, on purpose, ten times its tangent."""

    @staticmethod
    def forward(x):
        return x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, slope):
        return 2 * ctx.saved_tensors[0] * slope

    @staticmethod
    def jvp(ctx, tangent):
        return 20 * ctx.saved_tensors[0] * tangent


def test_the_compiler_drops_the_tangent_of_an_autograd_function(dynamo):
    """Why nothing here is compiled that holds one; where this fails, PyTorch has mended it (its issue 192985)."""
    seen = []

    def backend(graph, inputs):
        seen.append(graph)
        return graph.forward

    def tangent(x, v):
        return torch.func.jvp(OwnRule.apply, (x,), (v,))[1]

    given = torch.tensor([3.0]), torch.ones(1)
    assert tangent(*given).item() == 60
    assert torch.compile(tangent, backend=backend)(*given).item() == 6 and len(seen) == 1


def test_real_members_give_the_loss_with_and_without_autograd():
    flat, theta, _, x, y = case(NETS["convnet"][0])
    loss = RealLoss(Step(flat, micro=2), x, y)
    leaf = theta.clone().requires_grad_()
    value = loss(leaf)
    g, same = loss.with_gradient(theta)
    torch.testing.assert_close(same, value.detach())
    torch.testing.assert_close(g, torch.autograd.grad(value, leaf)[0])


def test_a_gpu_takes_fewer_members_of_larger_images():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert [micro_batch(cpu, (3, side, side)) for side in (8, 16, 28, 32, 64, 512)] == [200, 200, 50, 50, 12, 1]
    assert micro_batch(cpu, (100, 16)) == micro_batch(cpu, (7,)) == 50
    assert [micro_batch(gpu, (3, side, side)) for side in (28, 32, 64, 224)] == [500, 500, 125, 10]
    assert micro_batch(torch.device("meta"), (1, 8, 8)) is None
