"""Tensors on their way to the accelerator without a wait, and copies of many tensors at once."""

from collections.abc import Mapping

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


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return copies of tensors on one device, without a graph: one launch on a GPU for each dtype."""
    made = {name: torch.empty_like(tensor) for name, tensor in tensors.items()}
    copy_all(made, tensors)
    return made


@torch.no_grad()
def copy_all(to: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors over those of the same names and shapes on their device: one launch on a GPU for each dtype.

    Raises:
        KeyError: a name is missing.
    """
    for dtype in dict.fromkeys(tensor.dtype for tensor in to.values()):
        names = [name for name, tensor in to.items() if tensor.dtype == dtype]
        torch._foreach_copy_([to[name] for name in names], [tensors[name] for name in names])
