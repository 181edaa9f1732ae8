"""The networks, by name, and custom networks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module

from torch import nn

from ddcore.data import Task
from ddcore.draws import scoped
from ddcore.errors import UsageError, known
from ddcore.nets.custom import custom_builder, custom_net, is_custom


@dataclass(frozen=True)
class Net:
    """A network that can be asked for by name.

    Attributes:
        kind: the kind of task that it reads, ``images`` or ``text``.
        module: of this package; its function ``build`` returns the network for a task.
        options: further arguments of ``build``.
    """

    kind: str
    module: str
    options: dict[str, int] = field(default_factory=dict)

    def builder(self) -> Callable[[Task], nn.Module]:
        """Return the function that builds the network; only now its module is imported.

        It may use torch's global generator, which `build_net` seeds.
        """
        return partial(import_module(f"ddcore.nets.{self.module}").build, **self.options)


NETS: dict[str, Net] = {
    "attention": Net("text", "attention"),
    "bag": Net("text", "bag"),
    "cnn": Net("text", "cnn"),
    "convnet": Net("images", "convnet", {"width": 32}),
    "convnet-64": Net("images", "convnet", {"width": 64}),
    "convnet-128": Net("images", "convnet", {"width": 128}),
    "lenet": Net("images", "lenet"),
    "linear": Net("text", "linear"),
    "mlp": Net("images", "mlp"),
    "resnet-gn": Net("images", "resnet_gn"),
    "resnet-s2d": Net("images", "resnet_s2d"),
    "resnet18": Net("images", "resnet18"),
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
    if known("network", name, [*NETS, "module:builder"]) not in fitting:
        raise UsageError(f"network '{name}' does not read {task.kind}; these do: {', '.join(sorted(fitting))}")
    return name


def build_net(name: str, task: Task, *key: int | str) -> nn.Module:
    """Return a freshly initialised network on the CPU; the same key gives the same weights.

    Raises:
        UsageError: the network does not exist, or a custom one fails; see `custom_net`.
    """
    name = net_name(name, task)
    build = partial(custom_net, name) if is_custom(name) else NETS[name].builder()
    with scoped("weights", name, *key):
        return build(task)
