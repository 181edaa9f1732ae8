import pytest
import torch

from kernels.choice import fused, power_of_two


def test_a_cpu_takes_the_reference_unless_told_otherwise(monkeypatch):
    x = torch.zeros(1)
    monkeypatch.delenv("KERNELS", raising=False)
    assert not fused(x)
    monkeypatch.setenv("KERNELS", "triton")
    assert fused(x) and not fused(x.double())
    monkeypatch.setenv("KERNELS", "reference")
    assert not fused(x)


def test_another_choice_is_refused(monkeypatch):
    monkeypatch.setenv("KERNELS", "fastest")
    with pytest.raises(ValueError, match="KERNELS must be reference or triton, not fastest"):
        fused(torch.zeros(1))


def test_powers_of_two():
    assert [power_of_two(n) for n in (1, 2, 3, 64, 65)] == [1, 2, 4, 64, 128]
