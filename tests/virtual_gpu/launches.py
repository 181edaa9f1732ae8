"""Launches of our own kernels on a virtual GPU: checked, counted, and replaced by what they stand for.

A function of a ``*_triton`` module runs as it is, but its launches only check their arguments. What it returns is then
filled with what the op's reference computes. So the tests need not know how a kernel takes its arguments.
"""

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor
from triton.runtime.jit import JITFunction

from ddcore.kernels.unrolled_step import Cotangent
from tests.virtual_gpu.device import VirtualGPU, tensors_in

norms = import_module("ddcore.kernels.norm_act_pool")
first = import_module("ddcore.kernels.first_block")
losses = import_module("ddcore.kernels.soft_cross_entropy")
moments = import_module("ddcore.kernels.class_moments")
waves = import_module("ddcore.kernels.characteristic")
maps = import_module("ddcore.kernels.resample")
steps = import_module("ddcore.kernels.unrolled_step")


def norm_forward(x, gain, offset, eps, pool):
    y, saved = norms.norm_act_pool_forward(x, gain, offset, eps, pool)
    return y, saved.stats


def norm_backward(y_c, x, stats, gain, offset, pool):
    _, saved = norms.norm_act_pool_forward(x, gain, offset, norms.EPS, pool)
    return norms.norm_act_pool_backward(y_c, saved, gain, offset)


def norm_tangent(x, x_t, gain, gain_t, offset, offset_t, eps, pool):
    both, saved = norms.norm_act_pool_tangent(x, x_t, gain, gain_t, offset, offset_t, eps, pool)
    return both, saved.stats


def norm_tangent_backward(y_c, y_ct, x, x_t, stats, gain, gain_t, offset, pool):
    still = torch.zeros_like(offset)
    _, saved = norms.norm_act_pool_tangent(x, x_t, gain, gain_t, offset, still, norms.EPS, pool)
    return norms.norm_act_pool_tangent_backward(y_c, y_ct, saved, gain, gain_t, offset)


def first_forward(x, w, gain, offset, padding, eps):
    y, saved = first.first_block_forward(x, w, gain, offset, padding, False)
    return y, saved.stats


def first_backward(y_c, saved, gain, offset):
    _, again = first.first_block_forward(saved.x, saved.w, gain, offset, saved.padding, False)
    return first.first_block_backward(y_c, again, gain, offset, False)


def first_tangent(x, pairs, padding, eps):
    both, saved = first.first_block_tangent(x, *pairs, padding, False)
    return both, saved.stats


def first_tangent_backward(y_c, y_ct, saved, gain, gain_t, offset):
    still = torch.zeros_like(offset)
    given = saved.x, saved.w, saved.w_t, gain, gain_t, offset, still
    _, again = first.first_block_tangent(*given, saved.padding, False)
    return first.first_block_tangent_backward(y_c, y_ct, again, gain, gain_t, offset, False)


def moments_backward(features, labels, counts, mean_c, square_c):
    share = 1 / counts.clamp(min=1)[labels][:, None]
    return ((mean_c[labels] + 2 * features.float() * square_c[labels]) * share).to(features.dtype)


def waves_backward(features, frequencies, counts, real_c, imaginary_c):
    with torch.enable_grad():
        x = features.detach().clone().requires_grad_()
        return torch.autograd.grad(waves.characteristic(x, frequencies, counts), x, (real_c, imaginary_c))[0]


def map_adjoint(up, turn, reach):
    with torch.enable_grad():
        x = torch.zeros_like(up).requires_grad_()
        return torch.autograd.grad(maps._reference(x, turn), x, up)[0]


def step_retreat(before, after, adjoints, rate, count, rule):
    cotangent, rows = steps.retreat(before, after, adjoints, rate, count, rule)
    return cotangent.along, cotangent.moved, rows[1:]


# What the functions of the modules return, computed by the references.
REFERENCES: dict[str, dict[str, Callable[..., Any]]] = {
    "norm_act_pool_triton": {
        "forward": norm_forward,
        "backward": norm_backward,
        "tangent": norm_tangent,
        "tangent_backward": norm_tangent_backward,
    },
    "first_block_triton": {
        "forward": first_forward,
        "backward": first_backward,
        "tangent": first_tangent,
        "tangent_backward": first_tangent_backward,
    },
    "soft_cross_entropy_triton": {
        "backward": losses.soft_cross_entropy_backward,
        "tangent": losses.soft_cross_entropy_tangent,
    },
    "class_moments_triton": {"forward": moments.class_moments, "backward": moments_backward},
    "characteristic_triton": {"forward": waves.characteristic, "backward": waves_backward},
    "resample_triton": {"forward": maps._reference, "adjoint": map_adjoint},
    "unrolled_step_triton": {
        "advance": lambda state, g, rate, count, rule, out=None: steps.advance(state, g, rate, count, rule),
        "retreat": step_retreat,
    },
}


class Launches:
    """Stands in for Triton's launches."""

    def __init__(self, gpu: VirtualGPU) -> None:
        self.gpu, self.inside = gpu, False

    def launch(self, function: JITFunction, *args: Any, grid: Any, warmup: bool, **kwargs: Any) -> None:
        """Check what a kernel is given, and count it."""
        gpu, name = self.gpu, f"{function.fn.__module__.rsplit('.', 1)[-1]}.{function.fn.__name__}"
        if not self.inside:
            gpu.fault(f"{name} is launched outside of the functions that have a reference")
        for each, label in zip(args, function.arg_names, strict=False):
            if not isinstance(each, Tensor):
                continue
            if is_functorch_wrapped_tensor(each):
                gpu.fault(f"{name} is given a wrapper of torch.func as {label}")
            if gpu.is_open(each):
                gpu.take(each)
            if not gpu.holds(each):
                gpu.fault(f"{name} is given a CPU tensor as {label}")
            if not each.is_contiguous():
                gpu.fault(f"{name} is given a tensor that is not contiguous as {label}")
        gpu.ledger.triton[name] += 1

    def replaced(self, real: Callable[..., Any], reference: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that launches as `real` does and returns what `reference` computes."""

        def function(*args: Any, **kwargs: Any) -> Any:
            gpu = self.gpu
            bound = inspect.signature(real).bind(*args, **kwargs)
            bound.apply_defaults()
            with gpu.paused(), torch.no_grad():
                right = own(reference(*bound.args))
            self.inside = True
            try:
                result = real(*args, **kwargs)
            finally:
                self.inside = False
            outputs = own(result)
            with gpu.paused(), torch.no_grad():
                fill(outputs, right)
            if gpu.recorder is not None:
                gpu.recorder.call(lambda *given: padded(outputs, own(reference(*given))), bound.args, tuple(outputs))
            return result

        return function


def own(result: Any) -> list[Tensor]:
    """Return the tensors that a kernel writes, without those that it was given."""
    if isinstance(result, tuple) and isinstance(result[0], Cotangent):
        result = result[0].along, result[0].moved, result[1][1:]
    return tensors_in(result)


def padded(outputs: list[Tensor], right: list[Tensor]) -> list[Tensor]:
    """Return what the outputs are to hold: a sum in parts has all of it in the first."""
    assert len(outputs) == len(right), "a function of a Triton module returns something else than its reference"
    return [
        each
        if each.shape == output.shape
        else torch.cat([each, each.new_zeros(len(output) - len(each), *each.shape[1:])])
        for output, each in zip(outputs, right, strict=True)
    ]


def fill(outputs: list[Tensor], right: list[Tensor]) -> None:
    """Write values into the outputs of a kernel."""
    for output, each in zip(outputs, padded(outputs, right), strict=True):
        output.copy_(each)


def install(gpu: VirtualGPU, patch: pytest.MonkeyPatch) -> None:
    """Put the references behind all functions that launch kernels."""
    launches = Launches(gpu)
    patch.setattr(JITFunction, "run", lambda self, *args, **kwargs: launches.launch(self, *args, **kwargs))
    for module, functions in REFERENCES.items():
        place = import_module(f"ddcore.kernels.{module}")
        for name, reference in functions.items():
            patch.setattr(place, name, launches.replaced(getattr(place, name), reference))
