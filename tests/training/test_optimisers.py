import pytest
import torch
from torch import nn

from ddcore.training import optimisers
from ddcore.training.optimisers import (
    WIDE,
    build_optimiser,
    load_moments,
    moments,
    orthogonalised,
    orthogonalised_all,
    rated_step,
)
from ddcore.training.recipes import OPTIMISERS, Recipe


@pytest.mark.parametrize("shape", [(8, 5), (5, 8)])
def test_orthogonalised_keeps_the_singular_vectors(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    inner = u.T @ orthogonalised(matrix, rounds=5) @ v.T
    values = inner.diagonal()
    assert (inner - values.diag()).abs().max() < 1e-4
    assert values.min() > 0.5 and values.max() < 1.3


def test_muon_step_by_hand():
    net = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Flatten(), nn.Linear(4, 1, bias=False))
    kernel, offset, matrix = net[0].weight, net[0].bias, net[2].weight
    before = [p.detach().clone() for p in (kernel, offset, matrix)]
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    build_optimiser(net, Recipe(optimiser="muon", lr=0.1, kernel_lr=0.5, momentum=0.5, weight_decay=0.2)).step()
    unit = orthogonalised(torch.ones(4, 1)).view(4, 1, 1, 1)
    assert torch.allclose(kernel, before[0] * (1 - 0.1) - 0.5 * 2 * unit)
    assert torch.allclose(offset, before[1] - 0.1 * 1.5)
    assert torch.allclose(matrix, before[2] * (1 - 0.02) - 0.1 * 1.5)


def test_the_rate_of_a_matrix_falls_with_its_inputs_where_there_are_many():
    net = nn.Sequential(nn.Linear(WIDE, 2, bias=False), nn.Linear(4 * WIDE, 2, bias=False))
    narrow, wide = (p.detach().clone() for p in net.parameters())
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    build_optimiser(net, Recipe(optimiser="muon", lr=0.1, momentum=0.5)).step()
    assert torch.allclose(net[0].weight, narrow - 0.1 * 1.5)
    assert torch.allclose(net[1].weight, wide - 0.1 / 4 * 1.5)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_norms_and_biases_do_not_decay(name):
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    build_optimiser(net, Recipe(optimiser=name, lr=0.1, kernel_lr=0.1, momentum=0.9, weight_decay=0.5)).step()
    changed = [key for key, value in net.state_dict().items() if not torch.equal(value, before[key])]
    assert changed == ["0.weight"]


@pytest.mark.parametrize("name", OPTIMISERS)
def test_an_optimiser_goes_on_from_its_moments(name):
    def stepped(net, optimiser):
        optimiser.zero_grad()
        net(torch.ones(1, 3)).square().sum().backward()
        optimiser.step()

    torch.manual_seed(0)
    recipe, first, second = Recipe(optimiser=name, lr=0.1), nn.Linear(3, 2), nn.Linear(3, 2)
    one, other = build_optimiser(first, recipe), build_optimiser(second, recipe)
    stepped(first, one)
    second.load_state_dict(first.state_dict())
    load_moments(other, {name: tensor.clone() for name, tensor in moments(one).items()})
    for net, optimiser in ((first, one), (second, other)):
        stepped(net, optimiser)
    assert torch.equal(first.weight, second.weight) and {name[:2] for name in moments(one)} == {"0.", "1."}


@pytest.mark.parametrize("name", ["muon", "sgd"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_step_at_rates_in_tensors_is_that_at_numbers(name, momentum):
    recipe = Recipe(optimiser=name, lr=0.1, momentum=momentum, weight_decay=0.1)
    draws, nets = torch.Generator().manual_seed(0), []
    for as_tensors in (True, False):
        draws.manual_seed(0)
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 2))
        optimiser = build_optimiser(net, recipe)
        for rates in ((0.1, 0.2, 0.3), (0.02, 0.03, 0.01), (0.5, 0.4, 0.2)):
            for p in net.parameters():
                p.grad = torch.randn(p.shape, generator=draws)
            groups = optimiser.param_groups
            if as_tensors:
                rated_step(optimiser, [torch.tensor(rate) for rate in rates[: len(groups)]])
                continue
            for group, rate in zip(groups, rates, strict=False):
                group["lr"] = rate
            optimiser.step()
        nets.append(net)
    for ours, right in zip(*(net.parameters() for net in nets), strict=True):
        torch.testing.assert_close(ours, right, rtol=1e-5, atol=1e-6)


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """All small kernels in one batch, as on a GPU; those above 100 elements are large."""

    def batches(matrices):
        small = [k for k, matrix in enumerate(matrices) if matrix.numel() <= 100]
        return [small, *([k] for k in range(len(matrices)) if k not in small)]

    monkeypatch.setattr(optimisers, "_batches", batches)


def kernels(layout):
    shapes = [(4, 2, 3, 3), (8, 1, 3, 3), (4, 2, 3, 3), (16, 4, 1, 1), (3, 10, 3, 3), (16, 8, 3, 3)]
    draws = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=draws).to(memory_format=layout) for shape in shapes]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_kernels_of_a_batch_are_orthogonalised_each_by_itself(as_on_a_gpu, layout):
    given = kernels(layout)
    for kernel, found in zip(given, orthogonalised_all(given), strict=True):
        torch.testing.assert_close(found, orthogonalised(kernel.flatten(1)).view(kernel.shape), rtol=1e-4, atol=1e-5)
        assert found.is_contiguous(memory_format=layout), "a step on all kernels at once needs their layouts"


def test_a_gpu_takes_small_kernels_together_and_large_ones_by_shape():
    sizes = [(8, 9), (1024, 2048), (16, 9), (1024, 2048)]
    matrices = [torch.empty(size, device="meta") for size in sizes]
    assert optimisers._batches(matrices) == [[0, 2], [1, 3]]
    assert optimisers._batches([torch.empty(2, 2), torch.empty(2, 2)]) == [[0], [1]]
