"""A computation on tensors of fixed shapes as a CUDA graph: recorded once, launched as a whole afterwards."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ddcore.errors import DDCoreError, UsageError

GRAPHS = ("auto", "on", "off")
WARM = 3

Work = Callable[..., tuple[Tensor, ...]]
Recording = tuple[Callable[[], None], tuple[Tensor, ...]]
Record = Callable[[Work, Sequence[Tensor]], Recording]

log = logging.getLogger(__name__)


def graphs_wanted(choice: str, device: torch.device) -> bool:
    """Return whether work on `device` is to be recorded; ``auto`` means on a GPU.

    Raises:
        UsageError: ``on`` without a GPU.
    """
    if choice == "on" and device.type != "cuda":
        raise UsageError("--cuda-graphs on needs a GPU: leave it at auto")
    return choice != "off" and device.type == "cuda"


def recorded(work: Work, inputs: Sequence[Tensor]) -> Recording:
    """Return what launches `work` on `inputs` anew, and the tensors that it leaves its results in."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM):
            work(*inputs)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = work(*inputs)
    return graph.replay, outputs


class Captured:
    """A function of tensors that runs as a graph: one for each combination of shapes that it is called with.

    Args:
        work: the function; draws nothing and decides nothing by values. What else it reads stays where it is.
        must: fail where it cannot be recorded; else it runs as it is from then on, after a warning.
        record: makes a recording.
    """

    def __init__(self, work: Work, must: bool = False, record: Record = recorded) -> None:
        self.work, self.must, self.record = work, must, record
        self.graphs: dict[Any, tuple[Recording, list[Tensor]]] = {}
        self.broken = False

    def __call__(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Return the function's results, in tensors of the caller's own.

        Raises:
            DDCoreError: it has to be recorded and cannot be.
        """
        key = tuple((each.shape, each.dtype) for each in given)
        if key not in self.graphs and not self.broken:
            self._add(key, given)
        if self.broken:
            return self.work(*given)
        (replay, outputs), inputs = self.graphs[key]
        for kept, each in zip(inputs, given, strict=True):
            kept.copy_(each)
        replay()
        return tuple(each.clone() for each in outputs)

    def _add(self, key: Any, given: tuple[Tensor, ...]) -> None:
        inputs = [each.detach().clone() for each in given]
        try:
            self.graphs[key] = self.record(self.work, inputs), inputs
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            if self.must:
                raise DDCoreError(f"no CUDA graph of the inner step ({reason}): --cuda-graphs off") from error
            log.warning("no CUDA graph of the inner step: %s", reason)
            self.broken = True
