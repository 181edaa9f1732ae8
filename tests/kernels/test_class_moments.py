import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from ddcore.kernels import class_moments
from ddcore.kernels import class_moments_triton as fast

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


def test_sums_over_many_chunks_are_those_of_one(kernels_run, poisoned, off, monkeypatch):
    features, labels = case(200, 33, 5)
    monkeypatch.setattr(fast, "chunk_of", lambda classes: 32)
    found = class_moments(features.to(kernels_run, torch.float32), labels.to(kernels_run), 5)
    for ours, right in zip(found, by_hand(features, labels, 5), strict=True):
        assert off(ours, right) <= 2e-6


def test_the_order_of_programs_does_not_matter(kernels_run, poisoned, monkeypatch, backwards):
    features, labels = (each.to(kernels_run) for each in case(100, 130, 4))
    monkeypatch.setattr(fast, "chunk_of", lambda classes: 32)
    found = []
    for turn in (lambda: None, backwards):
        turn()
        leaf = features.float().requires_grad_()
        moments = class_moments(leaf, labels, 4)
        (moments[1] + moments[2]).square().sum().backward()
        found.append((*moments, leaf.grad))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_a_label_that_is_no_class_counts_in_none(kernels_run, poisoned, off):
    features, labels = case(70, 6, 5)
    strange = torch.tensor([0, 9, 33])
    wrong = labels.clone()
    wrong[strange] = torch.tensor([-1, 5, 2**40])
    kept = torch.ones(70, dtype=torch.bool)
    kept[strange] = False
    features_, wrong_ = features.to(kernels_run, torch.float32), wrong.to(kernels_run)
    counts, mean, square = fast.forward(features_, wrong_, 5)
    for ours, right in zip((counts, mean, square), by_hand(features[kept], labels[kept], 5), strict=True):
        assert off(ours, right) <= 2e-6
    slope = fast.backward(features_, wrong_, counts, mean, square).cpu()
    assert not slope[strange].any() and slope[kept].all()


def test_chunks_hold_enough_members_of_each_class():
    assert [fast.chunk_of(k) for k in (2, 10, 16, 17, 100, 1000)] == [1024, 1024, 1024, 2048, 4096, 4096]


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
