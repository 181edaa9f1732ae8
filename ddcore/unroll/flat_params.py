"""A network as a function of one flat parameter vector."""

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from ddcore.errors import UsageError

# Numbers to which rows of parameters are padded where they are stacked: 256 bytes of float32, as a GPU's allocator
# aligns a tensor, so that every row can be read in vectors of 128 bits.
ALIGNED = 64


def aligned_rows(*shape: int, like: Tensor) -> Tensor:
    """Return an uninitialised tensor of this shape whose rows, along the last axis, begin at aligned addresses.

    Args:
        shape: of the tensor; the last number is the length of a row.
        like: gives dtype and device.
    """
    *counts, size = shape
    return like.new_empty(*counts, -(-size // ALIGNED) * ALIGNED)[..., :size]


class Flat:
    """A module whose parameters are passed as one vector theta ``(P,)``.

    Args:
        net: any module whose output for a member depends on that member alone. It is put into evaluation mode, which
            switches dropout off; its parameters and buffers are not changed.

    Raises:
        UsageError: the network has batch statistics.

    Attributes:
        net: the module.
        size: P, the number of parameters.
        device: of the parameters.
    """

    def __init__(self, net: nn.Module) -> None:
        for name, module in net.named_modules():
            if isinstance(module, _BatchNorm):
                raise UsageError(
                    f"{type(net).__name__} has batch statistics ({name}), which an unrolled inner loop cannot "
                    "differentiate: use a network with instance or group norm, such as convnet or resnet-gn"
                )
        net.eval()
        self.net = net
        self.shapes = {name: p.shape for name, p in net.named_parameters()}
        self.sizes = [p.numel() for p in net.parameters()]
        self.size = sum(self.sizes)
        self.device = next(net.parameters()).device

    def start(self) -> Tensor:
        """Return the module's present parameters: ``(P,)``."""
        return self.join(dict(self.net.named_parameters())).detach()

    def split(self, theta: Tensor) -> dict[str, Tensor]:
        """Return views of theta ``(P,)`` by the parameters' names."""
        parts = theta.split(self.sizes)
        return {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}

    def join(self, parts: dict[str, Tensor]) -> Tensor:
        """Return tensors with the parameters' names and shapes as one vector ``(P,)``."""
        return torch.cat([parts[name].reshape(-1) for name in self.shapes])

    def load(self, theta: Tensor) -> nn.Module:
        """Write theta ``(P,)`` into the module and return it."""
        with torch.no_grad():
            for name, p in self.net.named_parameters():
                p.copy_(self.split(theta)[name])
        return self.net

    def __call__(self, theta: Tensor, x: Tensor) -> Tensor:
        """Return the network's output for `x` with the parameters theta ``(P,)``."""
        return functional_call(self.net, self.split(theta), (x,))
