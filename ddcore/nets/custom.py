"""Custom networks, named ``module:builder``."""

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from ddcore.data import Task
from ddcore.errors import DDCoreError, UsageError, require
from ddcore.runtime import files_digest


def is_custom(name: str) -> bool:
    """Return whether a network's name is that of a custom network."""
    return ":" in name


def custom_builder(name: str) -> Callable[[Task], nn.Module]:
    """Return the function named ``module:builder``; the module is on Python's path or in the current folder.

    Raises:
        UsageError: the module or function does not exist, or the module cannot be imported.
    """
    module, _, function = name.partition(":")
    require(
        bool(module) and bool(function) and "/" not in module and not module.endswith(".py"),
        f"network '{name}': write module:builder as for a Python import, such as my_nets:build",
    )
    try:
        with _from_here():
            imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise UsageError(f"network '{name}': module '{module}' cannot be imported ({error})") from error
        raise UsageError(
            f"network '{name}': there is no module '{module}' on Python's path or in {os.getcwd()}"
        ) from error
    except (Exception, SystemExit) as error:
        raise UsageError(f"network '{name}': module '{module}' cannot be imported ({_described(error)})") from error
    builder: Callable[[Task], nn.Module] | None = getattr(imported, function, None)
    if not callable(builder):
        problem = "does not exist" if builder is None else "is not callable"
        raise UsageError(f"network '{name}': '{function}' {problem} in {getattr(imported, '__file__', module)}")
    return builder


def custom_net(name: str, task: Task) -> nn.Module:
    """Return a custom network on the CPU, tried on two members of the task.

    The builder is called with the task: ``task.shape`` is ``(C, H, W)``, ``len(task.classes)`` the number of classes,
    ``task.tokeniser`` holds the vocabulary of texts. The network takes the output of `Task.inputs` and returns logits.
    For methods that use features it also has ``features(x)``, its last hidden layer.

    Raises:
        UsageError: the builder fails or does not return a module, or the network does not return one row of logits
            per member.
    """
    builder = custom_builder(name)
    try:
        with _from_here():
            net = builder(task)
    except DDCoreError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"network '{name}': the builder failed ({_described(error)})") from error
    if not isinstance(net, nn.Module):
        raise UsageError(f"network '{name}': the builder returned a {type(net).__name__}, not a torch.nn.Module")
    _check(net.cpu(), name, task)
    return net


def source_digest(name: str) -> str:
    """Return a short digest of the source file of a custom network's module; empty if the module has no file.

    Raises:
        UsageError: the module or function does not exist, or the module cannot be imported.
        DDCoreError: the file cannot be read.
    """
    custom_builder(name)
    file = getattr(sys.modules[name.partition(":")[0]], "__file__", None)
    return files_digest(Path(file).parent, [Path(file)]) if file else ""


def need_features(net: nn.Module, name: str, method: str) -> None:
    """Refuse a network without features for a method that uses them.

    Raises:
        UsageError: the network has none.
    """
    require(
        hasattr(net, "features"), f"{method} uses features, and network '{name}' has no features(x): add this method"
    )


@torch.no_grad()
def _check(net: nn.Module, name: str, task: Task) -> None:
    """Run a network on two members in evaluation mode, and leave its mode unchanged."""
    modes = [(module, module.training) for module in net.modules()]
    some = task.train.x[torch.arange(2)]
    x = some if getattr(net, "reads_tokens", False) else task.inputs(some)
    try:
        net.eval()
        outputs = {"returns": net(x), "returns features": getattr(net, "features", net)(x)}
    except (Exception, SystemExit) as error:
        members = f"images {tuple(x.shape)}" if isinstance(x, Tensor) and x.ndim > 2 else "the token ids of two texts"
        raise UsageError(f"network '{name}' fails on {members} ({_described(error)})") from error
    for module, mode in modes:
        module.training = mode
    logits = (2, len(task.classes))
    for verb, output in outputs.items():
        shape = tuple(output.shape) if isinstance(output, Tensor) else f"a {type(output).__name__}"
        correct = shape == logits if verb == "returns" else isinstance(output, Tensor) and shape[:1] == (2,)
        require(
            bool(correct), f"network '{name}' {verb} {shape} for 2 members; expected are logits {logits}, one row each"
        )
    require(
        any(p.requires_grad for p in net.parameters()) or hasattr(net, "solve"),
        f"network '{name}' has no parameters to train",
    )
    names: dict[int, list[str]] = {}
    for part, tensor in net.state_dict().items():
        names.setdefault(tensor.data_ptr() if tensor.numel() else -1 - len(names), []).append(part)
    tied = next((same for same in names.values() if len(same) > 1), [])
    require(
        not tied,
        f"network '{name}' ties {' and '.join(tied)} to one tensor: give each its own, or use a function of one",
    )


@contextlib.contextmanager
def _from_here() -> Iterator[None]:
    """Let Python also import from the current folder inside a ``with`` block; installed packages come first."""
    here = os.getcwd()
    sys.path.append(here)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        # Search from the end, because the same folder may already have been on the path.
        del sys.path[len(sys.path) - 1 - sys.path[::-1].index(here)]


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
