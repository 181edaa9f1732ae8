"""The virtual GPU finds what a real one would refuse, and only that."""

import gc

import pytest
import torch

from tests.virtual_gpu.device import CPU, GPU


def texts(gpu):
    return [text for text, _ in gpu.ledger.faults]


def test_a_tensor_lies_where_it_was_put(gpu):
    x = torch.zeros(3, device=GPU)
    assert x.device == GPU and x.is_cuda and not x.is_cpu
    assert (x + 1).device == x[:2].device == torch.zeros_like(x).device == x.new_ones(2).device == GPU
    assert x.cpu().device == torch.zeros(3).device == torch.tensor(1.0).device == CPU
    assert torch.zeros(3).to(x).device == torch.zeros(2, dtype=torch.int64).to("cuda", torch.float32).device == GPU
    assert torch.nn.Linear(2, 2).to(GPU).weight.device == GPU
    y = torch.ones(3, device=GPU, requires_grad=True)
    (y * x).sum().backward()
    assert y.grad.device == GPU and torch.func.grad(lambda z: (z * z).sum())(x).device == GPU
    assert float(y.grad.sum()) == 0 and y.detach().cpu().tolist() == [1, 1, 1]


def test_mixed_devices_are_a_fault_and_scalars_are_counted(watched):
    x = torch.zeros(3, device=GPU)
    _ = x + torch.tensor(1.0)
    assert not watched.ledger.faults and sum(watched.ledger.scalars.values()) == 1
    _ = x + torch.zeros(3)
    _ = torch.zeros(3)[torch.zeros(2, dtype=torch.int64, device=GPU)]
    _ = torch.stack([x.sum(), torch.tensor(1.0)])
    assert len(texts(watched)) == 3


def test_waits_copies_and_launches_are_counted(gpu):
    x = torch.zeros(3, device=GPU)
    gpu.ledger.clear()
    _ = (x + 1).view(3, 1).relu()
    assert gpu.ledger.totals() == {"launches": 2, "triton": 0, "syncs": 0, "copies": 0}
    x.sum().item()
    x.nonzero()
    x[x > 0]
    assert gpu.ledger.totals()["syncs"] == 3 and gpu.ledger.totals()["copies"] == 0
    x.cpu()
    torch.ones(2).to(GPU)
    x.tolist()
    torch.tensor([1.0, 2.0], device=GPU)
    x[torch.tensor([0, 1])]
    assert gpu.ledger.totals()["syncs"] == 8 and gpu.ledger.totals()["copies"] == 5
    torch.nn.functional.one_hot(torch.zeros(2, dtype=torch.int64, device=GPU), 3)
    assert gpu.ledger.totals()["syncs"] == 8


def test_a_backward_pass_knows_the_device(gpu):
    seen = []

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, up):
            seen.append(up.device)
            return up

    x = torch.zeros(2, device=GPU, requires_grad=True)
    torch.autograd.grad(Function.apply(x).sum(), x)
    Function.apply(x).sum().backward()
    assert seen == [GPU, GPU]


def test_what_no_gpu_computes_is_a_fault(watched):
    n = torch.ones(2, 2, dtype=torch.int64, device=GPU)
    _ = n @ n
    _ = torch.randn(2, device=GPU, generator=torch.Generator())
    assert len(texts(watched)) == 2


def recorded(work, *inputs):
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = work(*inputs)
    return graph, outputs


def test_a_graph_computes_again_with_what_lies_in_its_inputs(gpu):
    x, weight = torch.ones(3, device=GPU), torch.full((3,), 2.0, device=GPU)

    def work(x):
        y = x * weight
        y[1:] += 1
        return torch.func.grad(lambda z: (z * y).sum())(x) + torch.zeros(3, device=GPU)

    gpu.ledger.clear()
    graph, result = recorded(work, x)
    assert gpu.ledger.totals()["launches"] == 0
    for value, expected in ((3.0, [6, 7, 7]), (5.0, [10, 11, 11])):
        x.fill_(value)
        graph.replay()
        assert result.cpu().tolist() == expected
    assert gpu.ledger.launches["graph"] == 2


def test_a_graph_that_reads_freed_memory_is_a_fault(watched):
    x, weights = torch.ones(3, device=GPU), [torch.full((3,), 2.0, device=GPU)]
    graph, _ = recorded(lambda x: x * weights[0], x)
    graph.replay()
    assert not texts(watched)
    weights.clear()
    gc.collect()
    graph.replay()
    assert len(texts(watched)) == 1 and "freed memory" in texts(watched)[0]


@pytest.mark.parametrize(
    "work",
    [
        lambda x: float(x.sum()),
        lambda x: x[x > 0],
        lambda x: x.cpu(),
        lambda x: x + torch.ones(3).to(GPU),
        lambda x: x * torch.tensor([1.0, 2.0, 3.0], device=GPU),
        lambda x: torch.cuda.synchronize(),
    ],
)
def test_a_recording_refuses_what_makes_the_host_wait(watched, work):
    x = torch.ones(3, device=GPU)
    with pytest.raises(RuntimeError, match="not permitted when stream is capturing"):
        recorded(work, x)
    assert texts(watched)


def test_a_graph_that_reads_the_host_s_memory_is_a_fault(watched):
    x, other = torch.ones(3, device=GPU), torch.tensor(2.0)
    recorded(lambda x: x * other, x)
    assert any("CPU tensor" in text for text in texts(watched))
