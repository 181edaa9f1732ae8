"""Kernels of our own on a virtual GPU: their arguments are checked, and their values are those of the references."""

import pytest
import torch
import triton
import triton.language as tl

from ddcore.kernels import (
    characteristic,
    class_moments,
    norm_act_pool,
    placed,
    resample,
    soft_cross_entropy,
    unrolled_step_triton,
)
from ddcore.kernels.unrolled_step import Rule, advance, retreat
from tests.virtual_gpu.device import GPU


def both(work, *inputs):
    """Return the results and gradients of a function on the GPU and on the CPU."""
    pairs = []
    for device in (GPU, torch.device("cpu")):
        given = [each.to(device).clone().requires_grad_(each.is_floating_point()) for each in inputs]
        result = work(*given)
        leaves = [each for each in given if each.requires_grad]
        slopes = torch.autograd.grad(result.square().sum(), leaves, create_graph=True)
        pairs.append([result, *slopes])
    return [[each.detach().cpu() for each in pair] for pair in pairs]


def test_the_ops_give_the_values_of_their_references(gpu):
    torch.manual_seed(0)
    turn = placed(torch.tensor([True, False]), torch.full((2, 2), 1.2), torch.tensor([0.1, 0.3]), torch.ones(2, 2))
    labels = torch.tensor([0, 2, 2, 1])
    cases = [
        (norm_act_pool, torch.randn(2, 3, 5, 4), torch.randn(3), torch.randn(3)),
        (soft_cross_entropy, torch.randn(4, 3), torch.randn(4, 3).softmax(1)),
        (lambda x: resample(x, turn), torch.randn(2, 1, 6, 6)),
    ]
    for work, *inputs in cases:
        for ours, right in zip(*both(work, *inputs), strict=True):
            torch.testing.assert_close(ours, right)
    features = torch.randn(4, 5)
    slopes = []
    for device in (GPU, torch.device("cpu")):
        x = features.to(device).requires_grad_()
        _, mean, square = class_moments(x, labels.to(device), 3)
        slopes.append(torch.autograd.grad((mean * square).sum(), x)[0].cpu())
    torch.testing.assert_close(*slopes)
    frequencies = torch.randn(6, 5)
    slopes = []
    for device in (GPU, torch.device("cpu")):
        x = features.to(device).requires_grad_()
        real, imaginary = characteristic(x, frequencies.to(device), (3, 1))
        slopes.append(torch.autograd.grad((real * imaginary).sum(), x)[0].cpu())
    torch.testing.assert_close(*slopes)
    names = ("norm_act_pool", "class_moments", "characteristic")
    assert all(f"{name}_triton" in " ".join(gpu.ledger.triton) for name in names)


@pytest.mark.parametrize("rule", [Rule(), Rule(momentum=0.9), Rule("adam", 0.9, weight_decay=0.1)])
def test_the_steps_give_the_values_of_their_references(gpu, rule):
    torch.manual_seed(0)
    rows = [torch.rand(2000) for _ in range(rule.rows)]
    g, adjoints = torch.randn(2000), [torch.randn(2000) for _ in range(rule.rows)]
    results = []
    for device in (GPU, torch.device("cpu")):
        before, slope = tuple(each.to(device) for each in rows), g.to(device)
        after = advance(before, slope, 0.1, 1, rule)
        cotangent, down = retreat(before, after, tuple(each.to(device) for each in adjoints), 0.1, 1, rule)
        moved = [] if cotangent.moved is None else [cotangent.moved.sum()]
        results.append([each.cpu() for each in (*after, cotangent.along, *moved, *down)])
    for ours, right in zip(*results, strict=True):
        torch.testing.assert_close(ours, right, rtol=1e-4, atol=1e-5)


@triton.jit
def copy_kernel(from_ptr, to_ptr):
    """Stands for a kernel without a reference."""
    tl.store(to_ptr, tl.load(from_ptr))


def test_a_launch_with_unfit_tensors_is_a_fault(watched):
    x, out = torch.zeros(4, 3, device=GPU), torch.zeros(4, 3, device=GPU)

    def launch(x):
        watched.ledger.faults.clear()
        copy_kernel[(1,)](x, out)
        return " ".join(text for text, _ in watched.ledger.faults)

    assert "outside of the functions" in launch(x) and "given" not in launch(x)
    assert "a CPU tensor as from_ptr" in launch(x.cpu())
    assert "not contiguous as from_ptr" in launch(x.T)
    found = []
    torch.func.grad(lambda x: found.append(launch(x)) or x.sum())(x)
    assert "a wrapper of torch.func as from_ptr" in found[0]


def test_a_launch_is_counted_and_a_rate_of_the_host_is_a_copy(gpu):
    rows, rate = (torch.ones(8, device=GPU), torch.ones(8, device=GPU)), torch.tensor(0.1, device=GPU)
    for eta, copies in ((rate, 0), (0.1, 1)):
        gpu.ledger.clear()
        unrolled_step_triton.advance(rows, rows[0], eta, 0, Rule(momentum=0.9), None)
        assert gpu.ledger.totals() == {"launches": 0, "triton": 1, "syncs": copies, "copies": copies}
