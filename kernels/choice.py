"""The choice between an op's two implementations: Triton kernels on a GPU, the PyTorch reference elsewhere."""

import os
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor

if TYPE_CHECKING:
    from triton.runtime.jit import JITFunction

CHOICES = ("", "reference", "triton")
# A launch option: multiply and add in one instruction. It is set because Triton 3.10 changes the default.
FUSION = {"enable_fp_fusion": True}


def fused(x: Tensor) -> bool:
    """Return whether an op on `x` runs its Triton kernels.

    They run on a GPU, in float32, bfloat16 or float16, on plain tensors. Inside a transform of
    ``torch.func`` tensors are wrapped and have no address that a kernel could read; PyTorch has no public function that
    detects this. The environment variable ``KERNELS`` forces ``reference`` or ``triton``; on a CPU the latter needs
    Triton's interpreter (``TRITON_INTERPRET=1``, set before the start).

    Raises:
        ValueError: ``KERNELS`` has another value.
    """
    forced = os.environ.get("KERNELS", "")
    if forced not in CHOICES:
        raise ValueError(f"KERNELS must be reference or triton, not {forced}")
    if x.dtype == torch.float64 or is_functorch_wrapped_tensor(x):
        return False
    return forced == "triton" or (x.is_cuda and not forced)


def launch(kernel: "JITFunction", grid: tuple[int, ...], *given: Tensor | float, on: Tensor, **constants: int) -> None:
    """Run `grid` programs of a kernel on the device of `on`, which need not be the current one; on a CPU at no cost."""
    with torch.cuda.device_of(on):
        kernel[grid](*given, **constants)


def layout_of(x: Tensor) -> torch.memory_format:
    """Return ``torch.channels_last`` for a tensor ``(N, C, H, W)`` that lies so and not contiguously as well."""
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


def new_planes(like: Tensor, shape: tuple[int, ...], layout: torch.memory_format) -> Tensor:
    """Return an uninitialised tensor ``(N, C, H, W)`` in a layout, of the dtype and on the device of another."""
    if layout == torch.contiguous_format:
        return like.new_empty(shape)
    n, channels, height, width = shape
    return like.new_empty(n, height, width, channels).permute(0, 3, 1, 2)


def alike(name: str, tensor: Tensor, like: Tensor, shape: torch.Size | tuple[int, ...] | None = None) -> None:
    """Check that an argument has the dtype and device of another, and its shape or that of `shape`.

    Raises:
        ValueError: it does not; the message names the argument.
    """
    wanted = (tuple(like.shape if shape is None else shape), like.dtype, like.device)
    if (tuple(tensor.shape), tensor.dtype, tensor.device) != wanted:
        actual = f"{tuple(tensor.shape)} {tensor.dtype} on {tensor.device}"
        raise ValueError(f"{name} must be {wanted[0]} {wanted[1]} on {wanted[2]}, not {actual}")


def power_of_two(n: int) -> int:
    """Return the smallest power of two that is at least `n`."""
    return 1 << max(0, n - 1).bit_length()
