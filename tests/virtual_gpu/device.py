"""A virtual GPU on a CPU: real values in the host's memory, and for each storage a tag that says where it would lie.

Two modes do the work. The function mode answers what Python asks (``x.device``) and performs moves between devices.
The dispatch mode sees every operator below autograd: it hands tags on and looks for what a GPU would refuse.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import get_unwrapped, is_functorch_wrapped_tensor
from torch._functorch.autograd_function import custom_function_call
from torch._ops import _compute_keyset
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from tests.virtual_gpu.ledger import Ledger, place

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
# Operators whose result has a size or a value that the host must wait for.
WAITING = {
    *("_local_scalar_dense", "nonzero", "masked_select", "bincount", "equal", "is_nonzero", "_linalg_check_errors"),
    *("_unique", "_unique2", "unique_dim", "unique_consecutive"),
}
# Operators that launch nothing although they are no views.
FREE = {
    *("empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "detach", "alias", "lift_fresh"),
    *("_unsafe_view", "_reshape_alias", "set_", "resize_"),
}
INDEXED = {"index", "_unsafe_index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index_put"}
FLOATING_ONLY = {"mm", "bmm", "addmm", "baddbmm", "mv", "addmv", "dot"}


class VirtualGPU:
    """The tags of all storages, what is counted, and whether a graph is being recorded.

    Attributes:
        ledger: counts and faults.
        recorder: takes what is launched into a graph; None outside of recordings.
        on: whether anything is looked at.
        waiting_raises: whether a wait of the host raises an error.
        pinned: the last tensor in pinned memory, from which a copy need not wait.
    """

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.recorder: Any = None
        self.on, self.waiting_raises = True, False
        self.pinned: Tensor | None = None
        # A weak reference keeps the storage's address from being used again.
        self._tags: dict[int, StorageWeakRef] = {}
        self._open: dict[int, StorageWeakRef] = {}
        self._host: dict[int, StorageWeakRef] = {}

    def holds(self, tensor: Tensor) -> bool:
        """Return whether a tensor lies on the virtual GPU."""
        return key(tensor) in self._tags

    def take(self, tensor: Tensor) -> Tensor:
        """Put a tensor's storage on the virtual GPU."""
        self._tags.setdefault(key(tensor), StorageWeakRef(storage(tensor)))
        self._open.pop(key(tensor), None)
        self._host.pop(key(tensor), None)
        return tensor

    def release(self, tensor: Tensor) -> Tensor:
        """Put a tensor's storage into the host's memory."""
        self._tags.pop(key(tensor), None)
        self._open.pop(key(tensor), None)
        self._host.setdefault(key(tensor), StorageWeakRef(storage(tensor)))
        if self.recorder is not None:
            self.recorder.made_by_host(tensor)
        return tensor

    def leave_open(self, tensor: Tensor) -> None:
        """Let the first operator with another tensor decide where a new one lies: PyTorch itself made it inside."""
        self._open[key(tensor)] = StorageWeakRef(storage(tensor))

    def is_open(self, tensor: Tensor) -> bool:
        """Return whether it is still open where a tensor lies."""
        return key(tensor) in self._open

    def is_number(self, tensor: Tensor) -> bool:
        """Return whether a tensor is a number of Python, which PyTorch wraps inside and passes by value."""
        return not tensor.ndim and not any(key(tensor) in tags for tags in (self._tags, self._open, self._host))

    def forget_freed(self) -> None:
        """Drop the tags of storages that no longer exist."""
        for tags in (self._tags, self._open, self._host):
            for number in [number for number, weak in tags.items() if weak.expired()]:
                del tags[number]

    def fault(self, text: str) -> None:
        """Note something that would fail or be wrong on a GPU."""
        self.ledger.faults[text, place()] += 1

    def sync(self, what: str, copy: bool = False) -> None:
        """Count a wait of the host; a recording forbids it, as CUDA does.

        Raises:
            RuntimeError: a graph is being recorded, or waits are looked for.
        """
        self.ledger.syncs[what, place()] += 1
        if copy:
            self.ledger.copies[what, place()] += 1
        if self.waiting_raises:
            raise RuntimeError(f"called a synchronizing CUDA operation: {what}")
        if self.recorder is not None:
            self.fault(f"a recording forbids {what}")
            raise RuntimeError(f"operation not permitted when stream is capturing: {what}")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Compute as the host does."""
        before, self.on = self.on, False
        try:
            with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
                yield
        finally:
            self.on = before


def storage(tensor: Tensor) -> torch.UntypedStorage:
    """Return the storage below all wrappers of ``torch.func``."""
    while is_functorch_wrapped_tensor(tensor):
        tensor = get_unwrapped(tensor)
    if tensor.layout is not torch.strided:
        with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
            tensor = tensor.values() if tensor.layout is torch.sparse_csr else tensor._values()
    return tensor.untyped_storage()


def key(tensor: Tensor) -> int:
    """Return the address of a tensor's storage object."""
    return int(storage(tensor)._cdata)


def tensors_in(tree: Any) -> list[Tensor]:
    """Return all tensors of nested arguments."""
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, dict):
        tree = tree.values()
    elif not isinstance(tree, (tuple, list)):
        return []
    return [each for part in tree for each in tensors_in(part)]


class Operators(TorchDispatchMode):
    """Looks at every operator, and tags what it returns."""

    def __init__(self, gpu: VirtualGPU) -> None:
        super().__init__()
        self.gpu = gpu

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        gpu, kwargs = self.gpu, kwargs or {}
        if not gpu.on:
            return func(*args, **kwargs)
        inputs, name = tensors_in((args, kwargs)), func.overloadpacket.__name__
        here = any(gpu.holds(each) for each in inputs)
        if here:
            self._check(func, args, kwargs, inputs)
        result = func(*args, **kwargs)
        if here:
            for each in tensors_in(result):
                gpu.take(each)
            writes = tensors_in(result) or func._schema.is_mutable
            if writes and not func.is_view and name not in FREE:
                gpu.ledger.launches[name] += 1
            if gpu.recorder is not None:
                gpu.recorder.operator(func, args, kwargs, result)
        elif name == "lift_fresh" or all(gpu.is_open(each) for each in inputs):
            for each in tensors_in(result):
                gpu.leave_open(each)
                if gpu.recorder is not None:
                    gpu.recorder.made(each)
        elif not all(gpu.is_number(each) for each in inputs):
            for each in tensors_in(result):
                gpu.release(each)
        return result

    def _check(self, func, args, kwargs, inputs) -> None:
        gpu, name = self.gpu, func.overloadpacket.__name__
        for each in inputs:
            if gpu.is_open(each):
                gpu.take(each)
        others = [each for each in inputs if not gpu.holds(each) and not gpu.is_number(each)]
        if name == "copy_" and others:
            gpu.sync("copy_ between devices", copy=True)
        elif name in INDEXED:
            self._check_index(name, args)
        elif name != "copy_":
            if large := [tuple(each.shape) for each in others if each.ndim or name in ("cat", "stack")]:
                gpu.fault(f"{name} mixes GPU tensors with CPU tensors {large}")
            elif others:
                gpu.ledger.scalars[name, place()] += 1
        if name in WAITING or (name == "repeat_interleave" and kwargs.get("output_size") is None):
            gpu.sync(name)
        if name in FLOATING_ONLY and not inputs[0].is_floating_point():
            gpu.fault(f"{name} of {inputs[0].dtype}, which no GPU has")

    def _check_index(self, name: str, args) -> None:
        gpu, here = self.gpu, self.gpu.holds(args[0])
        indices = [each for each in args[1] if isinstance(each, Tensor)]
        if not here and any(gpu.holds(each) for each in indices):
            gpu.fault(f"{name} of a CPU tensor by a GPU index")
        if here and any(not gpu.holds(each) for each in indices):
            gpu.sync("a CPU index of a GPU tensor", copy=True)
        if any(each.dtype in (torch.bool, torch.uint8) for each in indices):
            gpu.sync("an index by a mask")
        if len(args) > 2 and args[2].ndim and gpu.holds(args[2]) != here:
            gpu.fault(f"{name} puts values of another device")


class Functions(TorchFunctionMode):
    """Answers questions about devices, and moves tensors between them."""

    def __init__(self, gpu: VirtualGPU) -> None:
        super().__init__()
        self.gpu = gpu

    def __torch_function__(self, func, types, args=(), kwargs=None):
        gpu, kwargs = self.gpu, dict(kwargs or {})
        if not gpu.on:
            return func(*args, **kwargs)
        if func is custom_function_call:
            # Its parts are Python that asks for devices, and the mode is off in here: go on below, with the mode on.
            keys = _compute_keyset(args, kwargs, func.non_fallthrough_keys)
            with self:
                return func.dispatch(keys.highestPriorityTypeId(), *args, **kwargs)
        if func in ANSWERS:
            if gpu.is_open(args[0]):  # zeros that a backward pass made
                gpu.take(args[0])
            return ANSWERS[func](gpu.holds(args[0]))
        if func in (Tensor.cpu, Tensor.cuda):
            return self._moved(args[0], func is Tensor.cuda, {})
        if func is Tensor.to:
            return self._to(*args, **kwargs)
        if func in (Tensor.tolist, Tensor.numpy, Tensor.__array__) and gpu.holds(args[0]):
            if func is not Tensor.tolist:
                gpu.fault("numpy() of a GPU tensor")
            gpu.sync("tolist", copy=True)
        if func is torch.nn.functional.one_hot and gpu.holds(args[0]):
            return self._one_hot(func, args, kwargs)
        if func is Tensor.pin_memory:
            gpu.pinned = args[0].clone()
            return gpu.pinned
        if func is Tensor.__deepcopy__:
            result = func(*args, **kwargs)
            return gpu.take(result) if gpu.holds(args[0]) else result
        if kwargs.get("device") is not None:
            return self._made(func, args, kwargs)
        result = func(*args, **kwargs)
        if not tensors_in((args, kwargs)):
            for each in tensors_in(result):
                gpu.release(each)
        return result

    def _to(self, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Perform ``Tensor.to`` in each of its forms."""
        rest, device = list(args), kwargs.pop("device", None)
        other = kwargs.pop("other", None)
        if rest and isinstance(rest[0], Tensor):
            other = rest.pop(0)
        if other is not None:
            device, kwargs["dtype"] = GPU if self.gpu.holds(other) else CPU, other.dtype
        elif rest and not isinstance(rest[0], torch.dtype):
            device = rest.pop(0)
        if rest:
            kwargs["dtype"] = rest.pop(0)
        for name in ("non_blocking", "copy")[: len(rest)]:
            kwargs[name] = rest.pop(0)
        waits = not (kwargs.pop("non_blocking", None) and tensor is self.gpu.pinned)
        kwargs = {name: value for name, value in kwargs.items() if value is not None}
        if device is None:
            return tensor.to(**kwargs) if kwargs else tensor
        return self._moved(tensor, is_gpu(device), kwargs, waits)

    def _moved(self, tensor: Tensor, to_gpu: bool, kwargs: dict[str, Any], waits: bool = True) -> Tensor:
        gpu = self.gpu
        if gpu.holds(tensor) == to_gpu:
            return tensor.to(**kwargs) if kwargs else tensor
        if to_gpu and gpu.is_open(tensor):
            return gpu.take(tensor)
        if waits or gpu.recorder is not None:
            gpu.sync("a copy to the GPU" if to_gpu else "a copy to the host", copy=True)
        else:
            gpu.ledger.copies["a copy to the GPU that waits for nothing", place()] += 1
        with gpu.paused():
            result = tensor.to(**{"dtype": tensor.dtype, **kwargs, "copy": True})
        return gpu.take(result) if to_gpu else gpu.release(result)

    def _made(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function that says where its result lies."""
        gpu, here, name = self.gpu, is_gpu(kwargs["device"]), getattr(func, "__name__", "")
        if here and kwargs.get("generator") is not None:
            gpu.fault(f"{name} on the GPU with a generator of the CPU")
        if func in (torch.as_tensor, torch.asarray) and isinstance(args[0], Tensor):
            kind = {"dtype": kwargs["dtype"]} if kwargs.get("dtype") is not None else {}
            return self._moved(args[0], here, kind)
        if here and func in (torch.tensor, torch.as_tensor, torch.asarray, Tensor.new_tensor):
            gpu.sync(f"{name} of values of the host", copy=True)
        elif here and name not in FREE:
            gpu.ledger.launches[name] += 1
        with gpu.paused():
            result = func(*args, **{**kwargs, "device": CPU})
        for each in tensors_in(result):
            if here:
                gpu.take(each)
                if gpu.recorder is not None:
                    gpu.recorder.made(each)
            else:
                gpu.release(each)
        return result

    def _one_hot(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        """Compute one-hot rows; only a CPU looks at the range of the classes."""
        classes = kwargs.get("num_classes", args[1] if len(args) > 1 else -1)
        if classes < 0:
            self.gpu.sync("one_hot without a number of classes")
        self.gpu.ledger.launches["one_hot"] += 2
        with self.gpu.paused():
            result = func(*args, **kwargs)
        if self.gpu.recorder is not None:
            self.gpu.recorder.call(lambda labels: func(labels, classes), args[:1], (result,))
        return self.gpu.take(result)


def is_gpu(device: Any) -> bool:
    """Return whether an argument names a GPU; a number does."""
    return isinstance(device, int) or torch.device(device).type == "cuda"


ANSWERS = {
    Tensor.device.__get__: lambda here: GPU if here else CPU,
    Tensor.is_cuda.__get__: lambda here: here,
    Tensor.is_cpu.__get__: lambda here: not here,
}
