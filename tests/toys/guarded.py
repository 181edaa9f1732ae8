"""Tensors that refuse to be read as a whole, as a set larger than the memory would."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from toys import striped

from ddcore.data.examples import Examples
from ddcore.data.images import image_task
from ddcore.data.task import Task
from ddcore.training.teacher import Teacher

SAME = {"detach", "cpu", "contiguous"}
"""What gives a tensor in memory back without a copy."""
ABOUT = {"__len__", "dim", "size", "numel", "element_size", "numpy", "data_ptr", "is_floating_point", "stride"} | {
    *("shape", "dtype", "device", "ndim", "is_cuda", "layout")
}
"""What copies nothing."""


class Guarded(Tensor):
    """A tensor of which only `most` rows can be had at a time; every other operation on it raises an AssertionError."""

    most: int

    @staticmethod
    def of(x: Tensor, most: int) -> "Guarded":
        """Return a tensor under guard."""
        whole = x.as_subclass(Guarded)
        whole.most = most
        return whole

    def __repr__(self, **_: Any) -> str:
        return f"Guarded({tuple(self.shape)})"

    @classmethod
    def __torch_function__(cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        name = func.__self__.__name__ if name == "__get__" else name  # of a property
        with torch._C.DisableTorchFunctionSubclass():
            if name in ABOUT:
                return func(*args, **kwargs)
            if name in SAME:
                return args[0]
            if name == "to":
                assert torch.device(args[1]) == args[0].device, "the whole tensor is moved"
                return args[0]
            assert name == "__getitem__" and type(args[0]) is Guarded, f"{name} reads the whole tensor"
            rows = func(*args, **kwargs).as_subclass(Tensor)
            most = args[0].most
            copied = rows.data_ptr() == args[0].data_ptr() and rows.shape == args[0].shape
            assert not copied and (rows.dim() < args[0].dim() or len(rows) <= most), (
                f"{len(rows)} rows, more than {most}"
            )
            return rows


def guarded_task(most: int, count: int = 600, classes: int = 2) -> Task:
    """Return grey images of 8x8, learnable, of whose training members only `most` can be had at a time."""
    names = tuple(f"class {k}" for k in range(classes))
    task = image_task("guarded", names, striped(count, classes=classes), lambda: striped(40, classes=classes), "made")
    assert isinstance(task.train.x, Tensor)
    return replace(task, train=Examples(Guarded.of(task.train.x, most), task.train.y))


def guarded_teacher(task: Task, most: int, dims: int = 6) -> Teacher:
    """Return a teacher made by hand, under the same guard."""
    draws = torch.Generator().manual_seed(0)
    signal = torch.nn.functional.one_hot(task.train.y, max(dims, len(task.classes))).float()
    features = signal + torch.randn(signal.shape, generator=draws)
    logits = Guarded.of(features[:, : len(task.classes)].clone(), most)
    return Teacher(logits, Guarded.of(features.half(), most), "made by hand", "nowhere")
