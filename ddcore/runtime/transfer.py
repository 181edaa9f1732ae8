"""Tensors on their way from the host to the accelerator, without waiting for it."""

import torch
from torch import Tensor


def sent(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Return a tensor of the host on a device; the copy to a GPU goes through pinned memory and waits for nothing.

    Args:
        tensor: on the CPU, of any shape and dtype; on a CPU it is returned as it is.
        device: where it is wanted.
    """
    device = torch.device(device)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
