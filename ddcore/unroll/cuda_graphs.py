"""A computation on tensors of fixed shapes as a CUDA graph: recorded once, then launched as a whole.

A small inner step is limited by the time to launch its kernels, not by the kernels; a graph is a single launch.
"""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ddcore.errors import DDCoreError, require

if TYPE_CHECKING:
    from torch.cuda import _POOL_HANDLE

GRAPHS = ("auto", "on", "off")
# Runs before a recording: libraries choose algorithms and allocate workspaces then, which a recording must not do.
WARM = 3

Work = Callable[..., tuple[Tensor, ...]]
Shapes = tuple[tuple[torch.Size, torch.dtype], ...]
Recording = tuple[Callable[[], None], tuple[Tensor, ...]]
Record = Callable[[Work, Sequence[Tensor]], Recording]

log = logging.getLogger(__name__)


def graphs_wanted(choice: str, device: torch.device) -> bool:
    """Return whether work on `device` is recorded; ``auto`` means on a GPU.

    Raises:
        UsageError: ``on`` without a GPU.
    """
    require(choice != "on" or device.type == "cuda", "--cuda-graphs on needs a GPU: leave it at auto")
    return choice != "off" and device.type == "cuda"


class Recorder:
    """Records CUDA graphs that share their memory: the results of each are copied at once, so no two are in use.

    The memory lives as long as one of the graphs; PyTorch forgets it with the last, and would not find it again.
    """

    def __init__(self) -> None:
        self.pool: _POOL_HANDLE | None = None

    def __call__(self, work: Work, inputs: Sequence[Tensor]) -> Recording:
        """Return a function that launches `work` on `inputs` again, and the tensors that hold its results."""
        with torch.cuda.device_of(inputs[0]):
            current, side = torch.cuda.current_stream(), torch.cuda.Stream()
            side.wait_stream(current)
            try:
                with torch.cuda.stream(side):
                    for _ in range(WARM):
                        work(*inputs)
            finally:
                current.wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            # A recording that fails would leave its stream the current one. Another thread's calls, such as those of
            # NCCL's watchdog, do not spoil the recording.
            with (
                torch.cuda.stream(current),
                torch.cuda.graph(graph, pool=self.pool, capture_error_mode="thread_local"),
            ):
                outputs = work(*inputs)
            self.pool = graph.pool()
        return graph.replay, outputs


class Captured:
    """A function of tensors that runs as a CUDA graph, one per combination of shapes.

    Args:
        work: the function. It must draw nothing and branch on no values; tensors that it reads besides its arguments
            must stay at their addresses.
        must: raise an error if it cannot be recorded. Otherwise it then runs without a graph, after a warning.
        record: makes a recording; None for a `Recorder` of its own.
    """

    def __init__(self, work: Work, must: bool = False, record: Record | None = None) -> None:
        self.work, self.must, self.record = work, must, record or Recorder()
        self.graphs: dict[Shapes, tuple[Recording, list[Tensor]]] = {}
        self.broken = False

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the function's results, in new tensors.

        Raises:
            DDCoreError: it must be recorded and cannot be.
        """
        key = tuple((each.shape, each.dtype) for each in inputs)
        if key not in self.graphs and not self.broken:
            self._add(key, inputs)
        if self.broken:
            return self.work(*inputs)
        (replay, outputs), buffers = self.graphs[key]
        for buffer, each in zip(buffers, inputs, strict=True):
            buffer.copy_(each)
        replay()
        return tuple(each.clone() for each in outputs)

    def _add(self, key: Shapes, inputs: tuple[Tensor, ...]) -> None:
        buffers = [each.detach().clone() for each in inputs]
        try:
            self.graphs[key] = self.record(self.work, buffers), buffers
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            if self.must:
                raise DDCoreError(f"no CUDA graph of the inner step ({reason}): --cuda-graphs off") from error
            log.warning("no CUDA graph of the inner step: %s", reason)
            self.broken = True
