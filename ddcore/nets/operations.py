"""How many operations a network's answer takes, and how much memory its graph."""

import torch

from ddcore.data import Task
from ddcore.nets.registry import build_net


def operations(name: str, task: Task) -> float:
    """Return the multiplications and additions of a network's answer to one image: of convolutions and products.

    They are counted from the shapes of the layers, so that the number is the same on every machine.

    Args:
        name: of the network.
        task: of images.

    Raises:
        UsageError: as `build_net`.
    """
    from torch.utils.flop_counter import FlopCounterMode  # it imports Triton

    net = build_net(name, task, 0).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, *task.shape))
    return float(counter.get_total_flops())


def kept_bytes(name: str, task: Task) -> float:
    """Return the bytes that autograd keeps of a network's answer to one image, for its derivatives.

    Args:
        name: of the network.
        task: of images.

    Raises:
        UsageError: as `build_net`.
    """
    net, kept = build_net(name, task, 0).eval(), dict[int, int]()

    def note(tensor: torch.Tensor) -> torch.Tensor:
        place, size = tensor.data_ptr(), tensor.numel() * tensor.element_size()
        kept[place] = max(size, kept.get(place, 0))
        return tensor

    own = sum(p.numel() * p.element_size() for p in net.parameters())
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        answer = net(torch.zeros(1, *task.shape, requires_grad=True))
    del answer
    return float(max(0, sum(kept.values()) - own))
