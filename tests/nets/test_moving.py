import torch
from torch import nn

from ddcore.nets import moving as module
from ddcore.nets.moving import PLACE, moved
from ddcore.nets.registry import build_net


def test_on_a_cpu_a_network_stays_what_it_is(toy):
    net = build_net("convnet", toy, 0)
    before = [p.data_ptr() for p in net.parameters()]
    assert moved(net, "cpu") is net and [p.data_ptr() for p in net.parameters()] == before


def test_one_copy_a_dtype_holds_all_tensors(toy, monkeypatch):
    copies = []

    def stay(whole, device):
        assert str(device) == "cuda"
        copies.append(whole.clone())
        return copies[-1]

    monkeypatch.setattr(module, "sent", stay)
    net, right = (build_net("resnet18", toy, 3) for _ in range(2))
    net.register_parameter("same", net.get_parameter(next(name for name, _ in net.named_parameters())))
    moved(net, "cuda")
    assert [copy.dtype for copy in copies] == [torch.float32, torch.int64]
    for name, tensor in right.state_dict().items():
        ours = net.state_dict()[name]
        assert torch.equal(ours, tensor) and ours.shape == tensor.shape
        there = copies[tensor.dtype == torch.int64]
        first = ours.data_ptr() - there.data_ptr()
        assert 0 <= first < there.numel() * there.element_size() and first % (PLACE * there.element_size()) == 0
    x = torch.randn(2, *toy.shape)
    torch.testing.assert_close(net.eval()(x), right.eval()(x))
    nn.functional.mse_loss(net(x), torch.zeros(2, 2)).backward()
    assert all(p.grad is not None for p in net.parameters())
