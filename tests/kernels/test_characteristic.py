import math

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from ddcore.kernels import characteristic
from ddcore.kernels import characteristic_triton as fast
from ddcore.kernels.characteristic import CHUNK

# Members of each class, features, frequencies.
SHAPES = [((1,), 1, 1), ((3, 0, 4), 3, 5), ((70, 1, 19), 65, 70), ((300, 20), 130, 33)]


def case(counts, width, frequencies):
    """Return features whose products with the frequencies span some turns, and the frequencies."""
    draws = torch.Generator().manual_seed(width)
    features = torch.randn(sum(counts), width, generator=draws, dtype=torch.float64)
    return features, torch.randn(frequencies, width, generator=draws, dtype=torch.float64)


def by_hand(features, frequencies, counts):
    """Return the mean of exp(i <t, x>) over each class, as complex numbers."""
    waves = torch.exp(1j * (features @ frequencies.T))
    means = [part.mean(0) if len(part) else torch.zeros_like(waves[0]) for part in waves.split(list(counts))]
    return torch.stack(means)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_reference_is_the_mean_of_exponentials(shape):
    features, frequencies = case(*shape)
    real, imaginary = characteristic(features, frequencies, shape[0])
    torch.testing.assert_close(torch.complex(real, imaginary), by_hand(features, frequencies, shape[0]))


def test_more_frequencies_than_a_chunk_are_those_one_by_one():
    features, frequencies = case((5, 2), 3, 2 * CHUNK + 1)
    real, imaginary = characteristic(features, frequencies, (5, 2))
    assert real.shape == imaginary.shape == (2, 2 * CHUNK + 1)
    torch.testing.assert_close(torch.complex(real, imaginary), by_hand(features, frequencies, (5, 2)))


def test_the_reference_has_a_gradient():
    features, frequencies = case((3, 0, 4), 3, 5)
    leaf = features.requires_grad_()
    assert gradcheck(lambda x: characteristic(x, frequencies, (3, 0, 4)), leaf, check_forward_ad=True)
    assert gradgradcheck(lambda x: characteristic(x, frequencies, (3, 0, 4)), leaf)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_kernels_are_the_reference(kernels_run, poisoned, off, shape):
    counts = shape[0]
    features, frequencies = case(*shape)
    right, ours = features.clone().requires_grad_(), features.to(kernels_run, torch.float32).requires_grad_()
    wanted = by_hand(right, frequencies, counts)
    found = characteristic(ours, frequencies.to(kernels_run, torch.float32), counts)
    # A product has the rounding of its terms, which are larger than itself.
    close = 1e-6 * math.sqrt(shape[1])
    assert off(found[0].detach(), wanted.real.detach()) <= close + 2e-6
    assert off(found[1].detach(), wanted.imag.detach()) <= close + 2e-6
    up = torch.randn(2, *wanted.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ((up[0] * wanted.real).sum() + (up[1] * wanted.imag).sum()).backward()
    up = up.to(kernels_run, torch.float32)
    ((up[0] * found[0]).sum() + (up[1] * found[1]).sum()).backward()
    assert off(ours.grad, right.grad) <= close + 2e-6


def test_angles_of_many_turns_are_reduced(kernels_run, poisoned, off):
    # The angles themselves: one feature, which is 1, and frequencies that float32 holds exactly.
    angles = torch.linspace(-700, 700, 257).float()
    real, imaginary = characteristic(torch.ones(1, 1, device=kernels_run), angles[:, None].to(kernels_run), (1,))
    assert off(real[0], angles.double().cos()) <= 3e-7 and off(imaginary[0], angles.double().sin()) <= 3e-7


def test_strided_halves_are_summed_in_single_precision(kernels_run, off):
    features, frequencies = case((70, 6), 5, 9)
    half, waves = features.T.contiguous().T.to(torch.bfloat16), frequencies.to(torch.bfloat16)
    leaf = half.to(kernels_run).clone().requires_grad_()
    found = characteristic(leaf, waves.to(kernels_run), (70, 6))
    assert found[0].dtype == torch.float32
    assert off(found[0].detach(), by_hand(half.double(), waves.double(), (70, 6)).real) <= 5e-6
    found[1].sum().backward()
    assert leaf.grad.dtype == torch.bfloat16 and leaf.grad.isfinite().all()


def test_a_class_has_the_same_bits_beside_any_other(kernels_run):
    features, frequencies = (each.to(kernels_run, torch.float32) for each in case((40, 90), 33, 20))
    both, alone = characteristic(features, frequencies, (40, 90)), characteristic(features[40:], frequencies, (90,))
    assert all(torch.equal(a[1], b[0]) for a, b in zip(both, alone, strict=True))


def test_the_order_of_programs_does_not_matter(kernels_run, poisoned, backwards):
    features, frequencies = (each.to(kernels_run, torch.float32) for each in case((100, 3), 130, 70))
    found = []
    for turn in (lambda: None, backwards):
        turn()
        leaf = features.clone().requires_grad_()
        real, imaginary = characteristic(leaf, frequencies, (100, 3))
        (real + imaginary.square()).sum().backward()
        found.append((real.detach(), imaginary.detach(), leaf.grad))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_no_array_of_members_and_frequencies_is_held(kernels_run, monkeypatch):
    made = []

    def counted(make):
        def making(*given, **named):
            made.append(make(*given, **named))
            return made[-1]

        return making

    for name in ("new_empty", "new_zeros", "float", "contiguous"):
        monkeypatch.setattr(torch.Tensor, name, counted(getattr(torch.Tensor, name)))
    monkeypatch.setattr(torch, "empty_like", counted(torch.empty_like))
    features, frequencies = (each.to(kernels_run, torch.float32) for each in case((300,), 5, 400))
    leaf = features.requires_grad_()
    characteristic(leaf, frequencies, (300,))[0].sum().backward()
    assert made and max(each.numel() for each in made) <= max(2 * 400 * fast.PARTS, 300 * 5, 400 * 5)


@pytest.mark.parametrize(
    "features, frequencies, counts, named",
    [
        (torch.zeros(3), torch.zeros(2, 3), (3,), "features"),
        (torch.zeros(0, 2), torch.zeros(2, 2), (0,), "features"),
        (torch.zeros(3, 2), torch.zeros(2, 3), (3,), "frequencies"),
        (torch.zeros(3, 2), torch.zeros(0, 2), (3,), "frequencies"),
        (torch.zeros(3, 2), torch.zeros(2, 2).double(), (3,), "frequencies"),
        (torch.zeros(3, 2), torch.zeros(2, 2), (1, 1), "counts"),
        (torch.zeros(3, 2), torch.zeros(2, 2), (4, -1), "counts"),
        (torch.zeros(3, 2), torch.zeros(2, 2), (), "counts"),
    ],
)
def test_bad_input_is_named(features, frequencies, counts, named):
    with pytest.raises(ValueError, match=f"^{named} must"):
        characteristic(features, frequencies, counts)
