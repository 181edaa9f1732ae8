"""The networks, by name, and custom networks."""

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from inspect import signature
from pathlib import Path

from torch import nn

from ddcore.data import Task
from ddcore.draws import scoped
from ddcore.errors import known, require
from ddcore.nets.custom import custom_builder, custom_net, is_custom
from ddcore.nets.words import words_of

SIZES: dict[str, Callable[[Task], int | tuple[int, ...]]] = {
    "shape": lambda task: task.shape,
    "classes": lambda task: len(task.classes),
    "words": words_of,
    "longest": lambda task: task.max_tokens,
}


@dataclass(frozen=True)
class Net:
    """A network that can be asked for by name.

    Attributes:
        kind: the kind of task that it reads, ``images`` or ``text``.
        network: a module of this package and a class in it. Its constructor takes, by their names, the numbers of
            `SIZES` that it needs.
        options: further arguments of the constructor.
    """

    kind: str
    network: str
    options: dict[str, int] = field(default_factory=dict)

    def build(self, task: Task) -> nn.Module:
        """Return the network for a task; only now its module is imported.

        It may use torch's global generator, which `build_net` seeds.
        """
        module, _, name = self.network.partition(".")
        network = getattr(import_module(f"ddcore.nets.{module}"), name)
        names = SIZES.keys() & signature(network).parameters
        return network(**{name: SIZES[name](task) for name in names}, **self.options)


NETS: dict[str, Net] = {
    "attention": Net("text", "attention.Attention"),
    "bag": Net("text", "bag.Bag"),
    "cnn": Net("text", "cnn.TextCNN"),
    "convnet": Net("images", "convnet.ConvNet", {"width": 32}),
    "convnet-64": Net("images", "convnet.ConvNet", {"width": 64}),
    "convnet-128": Net("images", "convnet.ConvNet", {"width": 128}),
    "convnet-bn": Net("images", "convnet_bn.ConvNetBN", {"width": 32}),
    "convnet-bn-128": Net("images", "convnet_bn.ConvNetBN", {"width": 128}),
    "convnet-frepo": Net("images", "convnet_frepo.ConvNetFRePo", {"width": 128}),
    "lenet": Net("images", "lenet.LeNet"),
    "linear": Net("text", "linear.NgramLinear"),
    "mlp": Net("images", "mlp.MLP"),
    "resnet-gn": Net("images", "resnet_gn.ResNetGN"),
    "resnet-s2d": Net("images", "resnet_s2d.ResNetS2D"),
    "resnet18": Net("images", "resnet18.ResNet18"),
}


def net_name(name: str, task: Task) -> str:
    """Return the name in `NETS` for `name`: ``default`` means the task's own, ``module:builder`` is unchanged.

    Raises:
        UsageError: the network does not exist, or it reads another kind of data.
    """
    name = task.default_net if name == "default" else name
    if is_custom(name):
        custom_builder(name)
        return name
    fitting = [other for other, net in NETS.items() if net.kind == task.kind]
    require(
        known("network", name, [*NETS, "module:builder"]) in fitting,
        f"network '{name}' does not read {task.kind}; these do: {', '.join(sorted(fitting))}",
    )
    return name


def net_of_file(name: str, task: Task, asked: Iterable[str], source: Path | str, option: str = "--net") -> str:
    """Return the name in `NETS` of a network that a file names; a custom one only if the user asks for the same one.

    Args:
        name: in the file.
        task: the data set.
        asked: the networks that this command line, or the caller, names itself.
        source: of the name, for messages.
        option: that names a network on this command line.

    Raises:
        UsageError: the network is a custom one that nobody asked for, and nothing of it was run; or as `net_name`.
    """
    require(
        not is_custom(name) or name in asked,
        f"{source} names the network {name!r}, which is not one of ddcore's, and ddcore runs no code that a file "
        f"names: if you know and trust this code, name it yourself with {option} {shlex.quote(name)}",
    )
    return net_name(name, task)


def build_net(name: str, task: Task, *key: int | str) -> nn.Module:
    """Return a freshly initialised network on the CPU; the same key gives the same weights.

    Raises:
        UsageError: the network does not exist, or a custom one fails; see `custom_net`.
    """
    name = net_name(name, task)
    build = partial(custom_net, name) if is_custom(name) else NETS[name].build
    with scoped("weights", name, *key):
        return build(task)
