import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev

from ddcore.errors import UsageError
from ddcore.methods.tangent_kernel import tangent_features
from ddcore.nets.convnet import ConvNet
from ddcore.nets.lenet import LeNet
from ddcore.nets.resnet_gn import ResNetGN
from ddcore.nets.resnet_s2d import ResNetS2D


def small(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().double().eval()


NETS = {
    "convnet": lambda: ConvNet((1, 8, 8), 3, width=4, depth=2),
    "strided": lambda: nn.Sequential(
        nn.Conv2d(1, 3, 3, stride=2, dilation=2, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(27, 3)
    ),
    "lenet": lambda: LeNet((1, 28, 28), 3),
}


def images(n, side=8):
    return torch.randn(n, 1, side, side, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("name", NETS)
def test_the_kernel_is_that_of_the_jacobian_spelled_out(name):
    net, x = small(NETS[name]), images(4, 28 if name == "lenet" else 8)
    outputs = torch.tensor([1.0, -1.0, 2.0], dtype=torch.float64)
    weights = {k: p.detach() for k, p in net.named_parameters()}
    jacobian = jacrev(lambda w: functional_call(net, w, (x,)) @ outputs)(weights)
    rows = torch.cat([jacobian[k].flatten(1) for k, p in net.named_parameters() if p.ndim > 1], 1)
    found = tangent_features(net, x, outputs)
    assert not found.requires_grad
    torch.testing.assert_close(found @ found.T, rows @ rows.T)


def test_random_signs_give_the_kernel_of_all_outputs_in_expectation():
    net, x = small(NETS["convnet"]), images(3)
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 3)
    mean = sum((rows := tangent_features(net, x, each)) @ rows.T for each in signs) / len(signs)
    whole = sum((rows := tangent_features(net, x, each)) @ rows.T for each in torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(mean, whole)


def test_the_features_carry_the_graph_to_the_images():
    net, x = small(NETS["strided"]), images(2).requires_grad_()
    outputs = torch.ones(3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: tangent_features(net, x, outputs)[:, ::9], (x,))
    assert all(p.grad is None for p in net.parameters())


def test_members_do_not_see_each_other():
    net, x, outputs = small(lambda: ResNetGN((1, 8, 8), 3)), images(3), torch.ones(3, dtype=torch.float64)
    torch.testing.assert_close(tangent_features(net, x, outputs)[1:2], tangent_features(net, x[1:2], outputs))


@pytest.mark.parametrize(
    "net, line",
    [
        (ResNetS2D((1, 8, 8), 3), "batch statistics"),
        (nn.Sequential(nn.Conv2d(2, 2, 3, groups=2), nn.Flatten()), r"weights \(0\) whose tangent features"),
    ],
)
def test_networks_without_such_features_are_refused(net, line):
    with pytest.raises(UsageError, match=line):
        tangent_features(net, torch.randn(2, 1, 8, 8), torch.ones(3))
