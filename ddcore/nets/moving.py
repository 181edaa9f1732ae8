"""Networks on their way to the accelerator, in one copy."""

import math

import torch
from torch import nn

from ddcore.runtime import sent

# Elements that each tensor's place is a multiple of: 256 bytes of float32, as PyTorch's allocator aligns.
PLACE = 64


def moved(net: nn.Module, device: torch.device | str) -> nn.Module:
    """Return a network with all its tensors on a device.

    To a GPU they go in one copy for each dtype, and become views of it; ``Module.to`` copies, and waits, for every
    tensor.

    Args:
        net: on the CPU.
        device: where it is wanted.
    """
    if torch.device(device).type == "cpu":
        return net.to(device)
    tensors = [*net.parameters(), *net.buffers()]
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        mine = [tensor for tensor in tensors if tensor.dtype == dtype]
        sizes = [PLACE * math.ceil(tensor.numel() / PLACE) for tensor in mine]
        whole = torch.zeros(sum(sizes), dtype=dtype)
        for place, tensor in zip(whole.split(sizes), mine, strict=True):
            place[: tensor.numel()] = tensor.detach().reshape(-1)
        for place, tensor in zip(sent(whole, device).split(sizes), mine, strict=True):
            tensor.data = place[: tensor.numel()].view(tensor.shape)
    return net
