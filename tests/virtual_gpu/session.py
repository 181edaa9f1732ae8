"""A virtual GPU that is switched on for as long as a test needs it."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch.overrides import _get_current_function_mode_stack

from ddcore.data.task import planes
from ddcore.kernels import characteristic_triton
from ddcore.sets import multi_formation
from ddcore.training import optimisers
from tests.virtual_gpu import graphs, launches
from tests.virtual_gpu.device import Functions, Operators, VirtualGPU


@contextmanager
def virtual_gpu() -> Iterator[VirtualGPU]:
    """Run everything inside as on a GPU; the caller looks at the faults."""
    gpu = VirtualGPU()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("KERNELS", raising=False)
        graphs.install(gpu, patch)
        launches.install(gpu, patch)
        functions, run = Functions(gpu), torch.autograd._engine_run_backward

        def run_backward(*args: Any, **kwargs: Any) -> Any:
            # The mode is off inside of a function that it handles, and so in all backward passes.
            with nullcontext() if functions in _get_current_function_mode_stack() else functions:
                return run(*args, **kwargs)

        patch.setattr(torch.autograd, "_engine_run_backward", run_backward)
        forget()
        try:
            with functions, Operators(gpu):
                yield gpu
        finally:
            forget()


def forget() -> None:
    """Drop the tensors that are kept on the device."""
    for kept in (planes, optimisers._places, characteristic_triton._begins, multi_formation._weights):
        kept.cache_clear()
