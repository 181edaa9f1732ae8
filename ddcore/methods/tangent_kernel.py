"""Tangent features: how a network's answer to a member moves with each of its weights.

Their inner products are the empirical tangent kernel. For a layer ``z = W a`` (a convolution's a: the patches of its
input, one a place p), a member's derivative in W is ``sum_p dz_p a_p'``, so that one backward pass of a whole batch,
which gives every member its own dz, and one batched product a layer give every member's derivative.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddcore.errors import UsageError


def tangent_features(net: nn.Module, x: Tensor, outputs: Tensor) -> Tensor:
    """Return each member's derivative of one combination of the network's outputs in its weights: ``(N, P)``.

    P counts the weights of convolutions and linear layers; biases and norms, a hundredth of them, are left out.
    With random signs for the combination, the expected inner products are those of all outputs' derivatives, added up,
    and a wide network's outputs have all the same kernel anyway: one combination does at a share of the cost.

    Args:
        net: made of convolutions without groups, linear layers and whatever has no weights of two or more dimensions;
            a member's answer must depend on that member alone. A layer is used once.
        x: ``(N, C, H, W)`` floating point. The features carry the graph to it, if it requires gradients.
        outputs: ``(K,)`` of x's dtype, what the outputs are weighted with.

    Raises:
        UsageError: the network has weights of another kind, or statistics over a batch.

    Source: Jacot, Gabriel & Hongler 2018, the kernel at initialisation of a finite network.
    """
    layers = _layers(net)
    seen: list[tuple[Any, Tensor, Tensor]] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append((layer, inputs[0], output))

    hooks = [layer.register_forward_hook(note) for layer in layers]
    try:
        with torch.enable_grad():
            answer = (net(x) @ outputs).sum()
    finally:
        for hook in hooks:
            hook.remove()
    kept = x.requires_grad
    slopes = torch.autograd.grad(answer, [output for _, _, output in seen], create_graph=kept)
    columns = []
    for (layer, below, _), slope in zip(seen, slopes, strict=True):
        if isinstance(layer, nn.Linear):
            mine = slope[:, :, None] * below[:, None, :]
        else:
            patches = F.unfold(below, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
            mine = slope.flatten(2) @ patches.transpose(1, 2)
        columns.append(mine.flatten(1))
    rows = torch.cat(columns, 1)
    return rows if kept else rows.detach()


def _layers(net: nn.Module) -> list[nn.Module]:
    """Return the layers whose weights count."""
    name = type(net).__name__
    columns = []
    for title, layer in net.named_modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            raise UsageError(
                f"{name} has batch statistics ({title}), so that no member has a derivative of its own: "
                "use a network with instance or group norm, such as convnet or resnet-gn"
            )
        plain = isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)
        if plain:
            columns.append(layer)
        elif any(p.ndim > 1 for p in layer.parameters(recurse=False)):
            raise UsageError(
                f"{name} has weights ({title}) whose tangent features are not known here: use convnet, "
                "lenet, mlp or resnet-gn"
            )
    return columns
