"""A user's own network, asked for as ``module:builder``."""

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ddcore.data import Task
from ddcore.errors import DDCoreError, UsageError


def is_own(name: str) -> bool:
    """Whether a network's name is that of a user's own."""
    return ":" in name


def own_builder(name: str) -> Callable[[Task], Any]:
    """Return the function behind ``module:builder``; the module is on Python's path or in the current folder.

    Raises:
        UsageError: there is no such module or function, or the module cannot be imported.
    """
    module, _, function = name.partition(":")
    if not module or not function or "/" in module or module.endswith(".py"):
        raise UsageError(f"network '{name}': write module:builder as Python imports it, such as my_nets:build")
    try:
        with _from_here():
            found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise UsageError(f"network '{name}': module '{module}' cannot be imported ({error})") from error
        raise UsageError(
            f"network '{name}': there is no module '{module}' on Python's path or in {os.getcwd()}"
        ) from error
    except Exception as error:
        raise UsageError(f"network '{name}': module '{module}' cannot be imported ({_told(error)})") from error
    builder = getattr(found, function, None)
    if not callable(builder):
        there = "there is no" if builder is None else "not callable is the"
        raise UsageError(f"network '{name}': {there} '{function}' in {getattr(found, '__file__', module)}")
    return builder  # type: ignore[no-any-return]


def own_net(name: str, task: Task) -> nn.Module:
    """Return a user's network on the CPU, tried on two members of the task.

    The builder is called with the task: ``task.shape`` is ``(C, H, W)``, ``len(task.classes)`` the number of classes,
    ``task.tokeniser`` knows the words of texts. The network reads what `Task.inputs` gives and answers with logits; one
    that is to be used where features are wanted has ``features(x)``, its last hidden layer.

    Raises:
        UsageError: the builder fails or returns no module, or the network does not answer with a row of logits for
            each member.
    """
    builder = own_builder(name)
    try:
        with _from_here():
            net = builder(task)
    except DDCoreError:
        raise
    except Exception as error:
        raise UsageError(f"network '{name}': the builder failed ({_told(error)})") from error
    if not isinstance(net, nn.Module):
        raise UsageError(f"network '{name}': the builder returned a {type(net).__name__}, not a torch.nn.Module")
    _check(net.cpu(), name, task)
    return net


def need_features(net: nn.Module, name: str, method: str) -> None:
    """Refuse a network without features for a method that works on them.

    Raises:
        UsageError: it has none.
    """
    if not hasattr(net, "features"):
        raise UsageError(f"{method} works on features, and network '{name}' has no features(x): give it such a method")


@torch.no_grad()
def _check(net: nn.Module, name: str, task: Task) -> None:
    """Ask a network about two members, in evaluation mode, and leave it as it was."""
    modes = [(module, module.training) for module in net.modules()]
    some = task.train.x[torch.arange(2)]
    read: Any = some if getattr(net, "reads_tokens", False) else task.inputs(some)
    try:
        net.eval()
        answer = net(read)
        embed: Any = getattr(net, "features", net)
        hidden = embed(read)
    except Exception as error:
        what = f"images {tuple(read.shape)}" if task.kind == "images" else "the token ids of two texts"
        raise UsageError(f"network '{name}' fails on {what} ({_told(error)})") from error
    for module, mode in modes:
        module.training = mode
    wanted = (2, len(task.classes))
    for what, found in (("answers", answer), ("gives features", hidden)):
        shape = tuple(found.shape) if isinstance(found, Tensor) else f"a {type(found).__name__}"
        right = shape == wanted if what == "answers" else isinstance(found, Tensor) and shape[:1] == (2,)
        if not right:
            raise UsageError(f"network '{name}' {what} {shape} for 2 members; wanted are logits {wanted}, a row each")
    if not any(p.requires_grad for p in net.parameters()) and not hasattr(net, "solve"):
        raise UsageError(f"network '{name}' has no parameters to train")


@contextlib.contextmanager
def _from_here() -> Iterator[None]:
    """Let Python import from the current folder, too, inside a ``with`` block; what is installed comes first."""
    here = os.getcwd()
    sys.path.append(here)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        # From the end: the same folder may have been on the path before.
        del sys.path[len(sys.path) - 1 - sys.path[::-1].index(here)]


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
