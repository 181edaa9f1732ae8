import ast
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from ddcore.kernels.choice import alike, fused, launch, power_of_two


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


def test_what_does_not_fit_is_named():
    alike("x", torch.zeros(2), torch.ones(2))
    alike("x", torch.zeros(3), torch.ones(2), (3,))
    with pytest.raises(ValueError, match=r"^gain must be \(2,\) torch.float32 on cpu, not \(3,\) torch.float64 on cpu"):
        alike("gain", torch.zeros(3, dtype=torch.float64), torch.ones(2))


def test_a_launch_runs_on_the_device_of_its_tensors(monkeypatch):
    asked, ran, x = [], [], torch.zeros(1)
    monkeypatch.setattr(torch.cuda, "device_of", lambda tensor: asked.append(tensor) or nullcontext())
    kernel = {(2, 3): lambda *given, **constants: ran.append((len(asked), given, constants))}
    launch(kernel, (2, 3), x, 7, on=x, BLOCK=4)
    assert asked[0] is x and ran == [(1, (x, 7), {"BLOCK": 4})]


def test_every_kernel_is_launched_so():
    here = Path(__file__).parents[2] / "kernels"
    calls = [
        f"{path.name}:{node.lineno}"
        for path in here.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Subscript)
    ]
    assert len(calls) == 1 and calls[0].startswith("choice.py")
