import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from ddcore.kernels import class_moments

SHAPES = [(1, 1, 1), (7, 3, 4), (70, 65, 5), (200, 130, 3)]


def case(n, width, classes):
    """Return features, and labels that leave the last class without members where there are several."""
    draws = torch.Generator().manual_seed(n)
    features = torch.randn(n, width, generator=draws, dtype=torch.float64) + 0.5
    return features, torch.randint(max(1, classes - 1), (n,), generator=draws)


def by_hand(features, labels, classes):
    counts, means, squares = [], [], []
    for k in range(classes):
        mine = features[labels == k]
        counts.append(len(mine))
        means.append(mine.mean(0) if len(mine) else torch.zeros_like(features[0]))
        squares.append(mine.square().mean(0) if len(mine) else torch.zeros_like(features[0]))
    return torch.tensor(counts, dtype=features.dtype), torch.stack(means), torch.stack(squares)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_reference_is_the_loop_over_classes(shape):
    features, labels = case(*shape)
    torch.testing.assert_close(class_moments(features, labels, shape[2]), by_hand(features, labels, shape[2]))


def test_the_reference_has_a_gradient():
    features, labels = case(7, 3, 4)
    leaf = features.requires_grad_()
    assert gradcheck(lambda f: class_moments(f, labels, 4)[1:], leaf, check_forward_ad=True)
    assert gradgradcheck(lambda f: class_moments(f, labels, 4)[1:], leaf)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_kernels_are_the_reference(kernels_run, poisoned, off, shape):
    features, labels = case(*shape)
    right, ours = features.clone().requires_grad_(), features.to(kernels_run, torch.float32).requires_grad_()
    wanted, found = by_hand(right, labels, shape[2]), class_moments(ours, labels.to(kernels_run), shape[2])
    assert torch.equal(found[0].cpu().double(), wanted[0])
    for a, b in zip(found[1:], wanted[1:], strict=True):
        assert off(a.detach(), b.detach()) <= 2e-6
    up = torch.randn(wanted[1].shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ((up * wanted[1]).sum() + (up * wanted[2].flip(0)).sum()).backward()
    up = up.to(kernels_run, torch.float32)
    ((up * found[1]).sum() + (up * found[2].flip(0)).sum()).backward()
    assert off(ours.grad, right.grad) <= 2e-6


def test_strided_halves_are_summed_in_single_precision(kernels_run, off):
    features, labels = case(70, 6, 5)
    half = features.T.contiguous().T.to(torch.bfloat16)
    found = class_moments(half.to(kernels_run), labels.to(kernels_run), 5)
    assert found[1].dtype == torch.float32
    assert off(found[1], by_hand(half.double(), labels, 5)[1]) <= 2e-6


def test_the_same_bits_twice(kernels_run):
    features, labels = (each.to(kernels_run) for each in case(200, 130, 3))
    first, second = (class_moments(features.float(), labels, 3) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    "features, labels, named",
    [
        (torch.zeros(3), torch.zeros(3, dtype=torch.int64), "features"),
        (torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), "features"),
        (torch.zeros(2, 2), torch.zeros(3, dtype=torch.int64), "labels"),
        (torch.zeros(2, 2), torch.zeros(2), "labels"),
        (torch.zeros(2, 2), torch.tensor([0, 3]), "labels"),
        (torch.zeros(2, 2), torch.tensor([-1, 0]), "labels"),
    ],
)
def test_bad_input_is_named(features, labels, named):
    with pytest.raises(ValueError, match=f"^{named} must"):
        class_moments(features, labels, 3)
