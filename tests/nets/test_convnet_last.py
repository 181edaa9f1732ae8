import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ddcore.kernels import soft_cross_entropy
from ddcore.nets import convnet_last
from ddcore.nets.convnet import ConvNet
from ddcore.unroll import WeightedLoss


def case(shape, width=5, dtype=torch.float64, members=3):
    """Return a network, its parameters and directions, and the other arguments of its derivatives."""
    torch.manual_seed(0)
    net = ConvNet(shape, 4, width).to(dtype)
    parameters = {name: each.detach() + 0.1 * torch.randn_like(each) for name, each in net.named_parameters()}
    directions = {name: torch.randn_like(each) for name, each in parameters.items()}
    x, y = torch.randn(members, *shape, dtype=dtype), torch.randn(members, 4, dtype=dtype).softmax(1)
    return net, parameters, directions, (x, y, WeightedLoss(soft_cross_entropy, 1 / members))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 24), (1, 28, 28)], ids=str)
def test_derivatives_are_those_of_the_other_layout(shape, monkeypatch):
    net, parameters, directions, rest = case(shape)
    assert convnet_last.fits(rest[0], net.padding)
    found = net.slope(parameters, *rest), net.curvature(parameters, directions, *rest)
    monkeypatch.setattr(convnet_last, "fits", lambda *given: False)
    right = net.slope(parameters, *rest), net.curvature(parameters, directions, *rest)
    torch.testing.assert_close(found, right, rtol=1e-9, atol=1e-9)


def test_odd_planes_and_other_devices_do_not_fit():
    assert [convnet_last.fits(torch.empty(1, 1, side, 8), [1, 1, 1]) for side in (8, 12, 9)] == [True, False, False]
    assert not convnet_last.fits(torch.empty(1, 1, 8, 8, device="meta"), [1, 1, 1])


class Copies(TorchDispatchMode):
    """Notes the shapes of copies."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def __torch_dispatch__(self, func, types, inputs=(), named=None):
        output = func(*inputs, **(named or {}))
        if func.overloadpacket in (torch.ops.aten.clone, torch.ops.aten.copy_, torch.ops.aten._to_copy):
            self.shapes.append(output.shape)
        return output


def test_planes_are_not_copied_to_another_layout():
    members = 40
    net, parameters, directions, rest = case((1, 16, 16), 16, torch.float32, members)
    with Copies() as copies:
        net.slope(parameters, *rest)
        net.curvature(parameters, directions, *rest)
    planes = [shape for shape in copies.shapes if len(shape) == 4 and shape[0] in (members, 2 * members)]
    assert copies.shapes and not [shape for shape in planes if shape[1:3].numel() > 1]
