import os

import pytest
import torch

RUNS = torch.cuda.is_available() or os.environ.get("TRITON_INTERPRET") == "1"


@pytest.fixture
def kernels_run(monkeypatch):
    """Let the ops run their Triton kernels: on a GPU, or in the interpreter, for which tests/run.sh starts again."""
    if not RUNS:
        pytest.skip("needs a GPU, or TRITON_INTERPRET=1")
    monkeypatch.setenv("KERNELS", "triton")
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture
def poisoned(monkeypatch):
    """Fill what the kernels are to write with NaN beforehand."""

    def fill(make):
        def made(*given, **named):
            found = make(*given, **named)
            return found.fill_(float("nan")) if found.is_floating_point() else found

        return made

    monkeypatch.setattr(torch.Tensor, "new_empty", fill(torch.Tensor.new_empty))
    monkeypatch.setattr(torch, "empty_like", fill(torch.empty_like))


@pytest.fixture
def backwards(monkeypatch):
    """A function after which the interpreter runs the programs of a kernel from the last to the first."""

    def turn():
        from triton.runtime.interpreter import InterpreterBuilder

        index = InterpreterBuilder.set_grid_idx

        def reverse(self, *place):
            index(self, *(n - 1 - k for n, k in zip(self.grid_dim, place, strict=True)))

        monkeypatch.setattr(InterpreterBuilder, "set_grid_idx", reverse)

    if torch.cuda.is_available():
        pytest.skip("a GPU chooses the order of programs itself")
    return turn


@pytest.fixture
def off():
    """A function: how far two tensors are apart, by the second's largest element."""
    return distance


def distance(ours, right):
    return float((ours.double().cpu() - right.double().cpu()).abs().max() / right.double().abs().max().clamp(min=1e-30))
