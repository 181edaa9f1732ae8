"""What one step of the inner loop launches and moves on a GPU, counted without one.

An operator of PyTorch counts as a launch and a kernel of ours as one; each moves its inputs and its outputs once. Our
kernels are not run: their outputs stay as they were allocated, for nothing but shapes decides what comes after.
"""

import os

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from triton.runtime.jit import JITFunction

from ddcore.kernels import Rule
from ddcore.nets.convnet import ConvNet
from ddcore.unroll.flat_params import Flat
from ddcore.unroll.inner_step import RealLoss, Step, WeightedLoss
from ddcore.unroll.meta_gradient import State, Training, Unroll, meta_gradient

N = 20
FREE = {"empty", "empty_like", "new_empty", "detach", "empty_strided", "_unsafe_view", "_reshape_alias"}

pytestmark = pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter runs the kernels")


class Launches(TorchDispatchMode):
    """Counts launches and the bytes that they read and write."""

    def __init__(self):
        super().__init__()
        self.count = self.bytes = 0

    def take(self, tensors):
        self.count += 1
        self.bytes += sum(
            each.numel() * each.element_size() for each in tree_leaves(tensors) if isinstance(each, torch.Tensor)
        )

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        answer = func(*args, **(kwargs or {}))
        if not func.is_view and func.overloadpacket.__name__ not in FREE:
            self.take((args, kwargs, answer))
        return answer


@pytest.fixture
def step(monkeypatch):
    torch.manual_seed(0)
    return Step(Flat(ConvNet((1, 28, 28), 10, 128)))


def given(step):
    theta = step.flat.start()
    return theta, torch.randn_like(theta), torch.randn(N, 1, 28, 28), torch.randn(N, 10).softmax(1)


def counted(work):
    work()
    with Launches() as launches:
        work()
    return launches


def fused(monkeypatch, work):
    """Count with our kernels in place of PyTorch's operators."""
    monkeypatch.setenv("KERNELS", "triton")
    current = []

    def launch(self, *args, grid, warmup, **kwargs):
        if current:
            current[0].take(args)

    monkeypatch.setattr(JITFunction, "run", launch)
    work()
    with Launches() as launches:
        current.append(launches)
        work()
    monkeypatch.undo()
    return launches


def test_a_hessian_vector_product_is_a_few_launches(step, monkeypatch):
    theta, along, x, y = given(step)
    plain = counted(lambda: step._jvp_of_grad(WeightedLoss(step.loss, 1 / N), theta, along, x, y))
    ours = fused(monkeypatch, lambda: step.curvature(theta, along, x, y))
    assert ours.count <= 36 and ours.bytes <= 7e6 * N
    assert plain.count >= 348 and plain.bytes >= 70e6 * N
    print(f"H v: {ours.count} of {plain.count} launches, {ours.bytes / N / 1e6:.1f} of {plain.bytes / N / 1e6:.1f} MB")


def test_a_step_of_the_window_is_a_few_launches(step, monkeypatch):
    theta, _, x, y = given(step)
    rule = Rule(momentum=0.9)
    found = []
    for length in (1, 2):
        training = Training(step, torch.arange(N).expand(length, -1), rule)
        start, outer = State.fresh(theta, rule), RealLoss(step, x, y)
        rates = torch.full((length,), 0.01)
        unroll = Unroll(training, start, x, y, rates, outer)
        found.append(fused(monkeypatch, lambda unroll=unroll: meta_gradient(unroll)))
    count, size = found[1].count - found[0].count, found[1].bytes - found[0].bytes
    print(f"window step: {count} launches, {size / N / 1e6:.1f} MB a sample")
    assert count <= 64 and size <= 12e6 * N
