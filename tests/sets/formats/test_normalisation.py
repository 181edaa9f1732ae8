import pytest
import torch

from ddcore.data.task import Scale
from ddcore.errors import UsageError
from ddcore.sets.formats.normalisation import NORMALISATIONS, converted, normalised, scale_of


def test_names_and_numbers(fashion):
    assert scale_of("dc", fashion) == Scale((0.2861,), (0.3530,))
    assert scale_of("data", fashion) == fashion.scale and scale_of("none", fashion) == Scale((0.0,), (1.0,))
    assert scale_of("0.5,0.25", fashion) == Scale((0.5,), (0.25,))
    assert NORMALISATIONS["dc"]["cifar100"] != NORMALISATIONS["mtt"]["cifar100"]


@pytest.mark.parametrize("text", ["imagenet", "0.5", "0.5,0", "0.5,-1", "0.5,nan", "inf,1", "1,2,3", "", "0.5,1,"])
def test_others_are_refused(fashion, text):
    with pytest.raises(UsageError, match="normalisation"):
        scale_of(text, fashion)


def test_pixels_survive_a_normalisation_and_back():
    x = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, 3, 16, 16)
    peer, own = Scale((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)), Scale((0.5,) * 3, (0.3,) * 3)
    floats = normalised(x, own, peer)
    assert floats[0, 2, 0, 5] == (torch.tensor(5) / 255 - 0.4465) / 0.2010
    assert torch.equal(converted(floats, peer, own), x)


def test_other_values_are_converted_exactly_but_for_rounding():
    x = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    peer, own = Scale((0.2861,), (0.3530,)), Scale((0.5,), (0.25,))
    found = converted(x, peer, own)
    assert torch.allclose(found.double(), (x.double() * 0.3530 + 0.2861 - 0.5) / 0.25, rtol=1e-6, atol=1e-6)
    assert torch.allclose(normalised(found, own, peer), x, rtol=0, atol=1e-6) and normalised(found, own, own) is found


def test_one_value_between_two_levels_keeps_all_floats():
    x = torch.zeros(1001, 1, 2, 2)
    assert converted(x, Scale((0.0,), (1.0,)), Scale((0.0,), (1.0,))).dtype == torch.uint8
    for value in (0.5 / 255, -1 / 255, 256 / 255):
        x[1000, 0, 1, 1] = value
        assert converted(x, Scale((0.0,), (1.0,)), Scale((0.0,), (1.0,))).dtype == torch.float32
