"""The networks, by name, and the user's own."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from ddcore.data import Task
from ddcore.draws import scoped
from ddcore.errors import UsageError, known
from ddcore.nets.attention import Attention
from ddcore.nets.bag import Bag
from ddcore.nets.cnn import TextCNN
from ddcore.nets.convnet import ConvNet
from ddcore.nets.custom import is_own, own_builder, own_net
from ddcore.nets.lenet import LeNet
from ddcore.nets.linear import NgramLinear
from ddcore.nets.mlp import MLP
from ddcore.nets.resnet18 import ResNet18
from ddcore.nets.resnet_gn import ResNetGN
from ddcore.nets.resnet_s2d import ResNetS2D
from ddcore.nets.words import words_of


@dataclass(frozen=True)
class Net:
    """A network that can be asked for by name.

    Attributes:
        kind: the kind of task that it reads, ``images`` or ``text``.
        build: makes it for a task; it may use torch's global generator, which `build_net` seeds.
    """

    kind: str
    build: Callable[[Task], nn.Module]


NETS: dict[str, Net] = {
    "attention": Net("text", lambda task: Attention(len(task.classes), words_of(task), task.max_tokens)),
    "bag": Net("text", lambda task: Bag(len(task.classes), words_of(task))),
    "cnn": Net("text", lambda task: TextCNN(len(task.classes), words_of(task))),
    "convnet": Net("images", lambda task: ConvNet(task.shape, len(task.classes), width=32)),
    "convnet-64": Net("images", lambda task: ConvNet(task.shape, len(task.classes), width=64)),
    "convnet-128": Net("images", lambda task: ConvNet(task.shape, len(task.classes), width=128)),
    "lenet": Net("images", lambda task: LeNet(task.shape, len(task.classes))),
    "linear": Net("text", lambda task: NgramLinear(len(task.classes))),
    "mlp": Net("images", lambda task: MLP(task.shape, len(task.classes))),
    "resnet-gn": Net("images", lambda task: ResNetGN(task.shape, len(task.classes))),
    "resnet-s2d": Net("images", lambda task: ResNetS2D(task.shape, len(task.classes))),
    "resnet18": Net("images", lambda task: ResNet18(task.shape, len(task.classes))),
}


def net_name(name: str, task: Task) -> str:
    """Return the registered name behind `name`; ``default`` is the task's own, ``module:builder`` stays.

    Raises:
        UsageError: there is no such network, or it reads another kind of data.
    """
    name = task.default_net if name == "default" else name
    if is_own(name):
        own_builder(name)
        return name
    fitting = [other for other, net in NETS.items() if net.kind == task.kind]
    if known("network", name, [*NETS, "module:builder"]) not in fitting:
        raise UsageError(f"network '{name}' does not read {task.kind}; these do: {', '.join(sorted(fitting))}")
    return name


def build_net(name: str, task: Task, *key: int | str) -> nn.Module:
    """Return a freshly initialised network on the CPU; the same key gives the same weights.

    Raises:
        UsageError: there is no such network, or the user's own fails; see `own_net`.
    """
    name = net_name(name, task)
    with scoped("weights", name, *key):
        return own_net(name, task) if is_own(name) else NETS[name].build(task)
