"""How many operations a network's answer takes."""

import torch
from torch.utils.flop_counter import FlopCounterMode

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
    net = build_net(name, task, 0).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, *task.shape))
    return float(counter.get_total_flops())
