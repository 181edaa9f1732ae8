"""CUDA graphs of a virtual GPU: what is launched while one is recorded is executed again, on the same storages.

A graph keeps its own memory, and nothing else: a tensor that it reads from outside is found again by its storage. If
that was freed, or was never on the GPU, the replay is a fault. Values are computed again, so that a graph which reads
memory that changed its meaning gives wrong results here, too.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._pytree import tree_map

from tests.virtual_gpu.device import VirtualGPU, key, tensors_in


@dataclass
class Outside:
    """A tensor that a graph reads and does not own.

    Attributes:
        memory: its storage, which the graph does not keep.
        like: its dtype, offset, shape and strides.
        reader: the operator that reads it.
    """

    memory: StorageWeakRef
    like: tuple[torch.dtype, int, torch.Size, tuple[int, ...]]
    reader: str

    def tensor(self) -> Tensor | None:
        """Return the tensor as it is now, or None if its memory was freed."""
        memory = None if self.memory.expired() else torch.UntypedStorage._new_with_weak_ptr(self.memory.cdata)
        if memory is None:
            return None
        dtype, *rest = self.like
        return torch.empty(0, dtype=dtype).set_(memory, *rest)


class Recorder:
    """The operators of one recording, in order."""

    def __init__(self, gpu: VirtualGPU) -> None:
        self.gpu = gpu
        self.calls: list[tuple[Callable[..., Any], Any, tuple[Tensor, ...], bool]] = []
        self.kept: dict[int, Tensor] = {}
        self.numbers: dict[int, Tensor] = {}

    def made(self, tensor: Tensor) -> None:
        """Take a tensor that the recording fills with constants: the graph owns its memory and fills it again."""
        self._own(tensor)
        if has_memory(tensor):
            with self.gpu.paused():
                whole = whole_of(tensor)
                value = whole.clone()
            self.calls.append((lambda args, kwargs: value, ((), {}), (whole,), False))

    def made_by_host(self, tensor: Tensor) -> None:
        """Take a scalar of the host that the recording itself makes: it is a constant, passed by value."""
        if not tensor.ndim:
            self.numbers[key(tensor)] = tensor

    def operator(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        """Take an operator of PyTorch."""
        inputs = self._inputs((args, kwargs), str(func))
        writes, given = func._schema.is_mutable, {key(each) for each in tensors_in((args, kwargs))}
        for each in tensors_in(result):
            if key(each) not in given:
                self._own(each)
        if not func.is_view:
            outputs = () if writes else tuple(tensors_in(result))
            self.calls.append((lambda args, kwargs: func(*args, **kwargs), inputs, outputs, writes))

    def call(self, work: Callable[..., Any], args: tuple[Any, ...], outputs: tuple[Tensor, ...]) -> None:
        """Take a kernel of our own: `work` gives what it writes to the outputs."""
        for each in outputs:
            self._own(each)
        self.calls.append((lambda args, kwargs: work(*args), self._inputs((args, {}), "a kernel"), outputs, False))

    def replay(self) -> None:
        """Execute everything again."""
        for work, inputs, outputs, _ in self.calls:
            args, kwargs = tree_map(self._found, inputs, is_leaf=lambda each: isinstance(each, Outside))
            results = tensors_in(work(args, kwargs))
            for output, result in zip(outputs, results if outputs else (), strict=True):
                output.copy_(result)

    def spoil(self) -> None:
        """Overwrite the graph's memory, as another graph does that shares it."""
        for each in self.kept.values():
            if each.is_floating_point() and has_memory(each):
                whole_of(each).fill_(torch.nan)

    def _own(self, tensor: Tensor) -> None:
        with self.gpu.paused():
            self.kept.setdefault(key(tensor), tensor.detach())

    def _inputs(self, tree: Any, reader: str) -> Any:
        def outside(each: Any) -> Any:
            if not isinstance(each, Tensor) or key(each) in self.kept:
                return each
            if self.gpu.is_number(each) or key(each) in self.numbers:
                return each.clone()
            if not self.gpu.holds(each):
                self.gpu.fault(f"a graph reads a CPU tensor {tuple(each.shape)} in {reader}")
                return each
            like = each.dtype, each.storage_offset(), each.shape, each.stride()
            return Outside(StorageWeakRef(each.untyped_storage()), like, reader)

        return tree_map(outside, tree)

    def _found(self, each: Any) -> Any:
        if not isinstance(each, Outside):
            return each
        tensor = each.tensor()
        if tensor is None:
            self.gpu.fault(f"a graph reads freed memory of a tensor {tuple(each.like[2])} in {each.reader}")
            return torch.full(each.like[2], torch.nan).to(each.like[0])
        return tensor


def has_memory(tensor: Tensor) -> bool:
    """Return whether a tensor has values in memory: PyTorch uses some for their shapes, and zeros without any."""
    return not tensor._is_zerotensor() and tensor.untyped_storage().device.type == "cpu"


def whole_of(tensor: Tensor) -> Tensor:
    """Return all the memory in which a tensor lies, without the views that may repeat parts of it."""
    return torch.empty(0, dtype=tensor.dtype).set_(tensor.untyped_storage())


class Stream:
    """A stream, of which a virtual GPU has one."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def wait_stream(self, other: "Stream") -> None:
        """Return at once."""

    def synchronize(self) -> None:
        """Return at once."""


class Graph:
    """A recorded graph."""

    gpu: VirtualGPU
    sharing: list[Recorder]
    recorder: Recorder | None = None

    def pool(self) -> list[Recorder]:
        """Return its memory pool: the graphs that share it."""
        return self.sharing

    def replay(self) -> None:
        """Launch it."""
        assert self.recorder is not None, "nothing was recorded"
        self.gpu.ledger.launches["graph"] += 1
        with self.gpu.paused(), torch.no_grad():
            for each in self.sharing:
                if each is not self.recorder:
                    each.spoil()
            self.recorder.replay()


@contextmanager
def recording(graph: Graph, pool: list[Recorder] | None = None, **_: Any) -> Iterator[None]:
    """Record what is launched into a graph; like CUDA, count nothing of it as launched."""
    gpu = graph.gpu
    graph.sharing = [] if pool is None else pool
    assert gpu.recorder is None, "two recordings at once"
    before = gpu.ledger.launches.copy(), gpu.ledger.triton.copy()
    gpu.recorder = graph.recorder = Recorder(gpu)
    graph.sharing.append(graph.recorder)
    try:
        yield
    finally:
        gpu.recorder = None
        gpu.ledger.launches, gpu.ledger.triton = before


def install(gpu: VirtualGPU, patch: pytest.MonkeyPatch) -> None:
    """Put the virtual GPU behind ``torch.cuda``."""
    kind, stream = type("CUDAGraph", (Graph,), {"gpu": gpu}), Stream()
    memory = 80 * 10**9
    for name, value in {
        "CUDAGraph": kind,
        "graph": recording,
        "graph_pool_handle": list,
        "Stream": Stream,
        "stream": lambda _: nullcontext(),
        "current_stream": lambda *_: stream,
        "get_sync_debug_mode": lambda: gpu.waiting_raises,
        "set_sync_debug_mode": lambda mode: setattr(gpu, "waiting_raises", mode == "error"),
        "synchronize": lambda *_: gpu.sync("synchronize"),
        "mem_get_info": lambda *_: (memory, memory),
        "device": lambda _: nullcontext(),
        "device_of": lambda _: nullcontext(),
        **{each: lambda *_: 0 for each in ("memory_allocated", "max_memory_allocated", "memory_reserved")},
        "reset_peak_memory_stats": lambda *_: None,
        "get_device_name": lambda *_: "virtual GPU",
    }.items():
        patch.setattr(torch.cuda, name, value)
