"""The field's ConvNet."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import grad, grad_and_value, jvp
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

from kernels import (
    norm_act_pool,
    norm_act_pool_backward,
    norm_act_pool_forward,
    norm_act_pool_tangent,
    norm_act_pool_tangent_backward,
)

Loss = Callable[[Tensor, Tensor], Tensor]


class Block(nn.Module):
    """Convolution 3x3, instance norm, ReLU, 2x2 average pool. The norm takes any bias away, so there is none."""

    def __init__(self, channels: int, width: int, padding: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, width, 3, padding=padding, bias=False)
        self.gain = nn.Parameter(torch.ones(width))
        self.offset = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return norm_act_pool(self.convolution(x), self.gain, self.offset)


class ConvNet(nn.Module):
    """Blocks of one width, then a linear layer: the network on which distilled images are usually compared.

    Args:
        shape: ``(C, H, W)`` of an image. 28x28 images come out of the first convolution as 32x32, as is the custom.
        classes: number of classes.
        width: channels of every block; 128 in the literature.
        depth: number of blocks; each halves the image.

    Source: Gidaris & Komodakis 2018; Zhao et al. 2021. Deviates: no bias before the norm, which would cancel it.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, width: int, depth: int = 3) -> None:
        super().__init__()
        channels, height, _ = shape
        widths = [channels] + [width] * depth
        self.padding = [3 if height == 28 else 1] + [1] * (depth - 1)
        self.blocks = nn.Sequential(*(Block(*sizes) for sizes in zip(widths, widths[1:], self.padding, strict=False)))
        with torch.no_grad():
            planes = self.blocks(torch.zeros(1, *shape)).flatten(1)
        self.classifier = nn.Linear(planes.shape[1], classes)

    def features(self, x: Tensor) -> Tensor:
        """Return the last block's output: ``(N, width * h * w)`` float32."""
        return self.blocks(x).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))

    def slope(
        self, parameters: dict[str, Tensor], x: Tensor, y: Tensor, loss: Loss
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the gradient of the sum of the members' losses by name, and that sum; see `Step`.

        Args:
            parameters: by name.
            x: ``(N, C, H, W)``.
            y: labels, as `loss` reads them.
            loss: gives ``(N,)`` for logits ``(N, K)`` and `y`.
        """
        below = x
        kept: list[tuple[Tensor, Any]] = []
        for number, padding in enumerate(self.padding):
            w, g, b = self._block(number, parameters)
            above, planes = norm_act_pool_forward(F.conv2d(below, w, padding=padding), g, b)
            kept.append((below, planes))
            below = above
        hidden, w = below.flatten(1), parameters["classifier.weight"]
        logits = F.linear(hidden, w, parameters["classifier.bias"])
        delta, total = grad_and_value(lambda z: loss(z, y).sum())(logits)
        found = {"classifier.weight": delta.T @ hidden, "classifier.bias": delta.sum(0)}
        up = (delta @ w).view_as(below)
        for number, padding in reversed(list(enumerate(self.padding))):
            w, g, _ = self._block(number, parameters)
            below, planes = kept.pop()
            u_c, g_c, b_c = norm_act_pool_backward(up, planes, g)
            found |= self._named(number, conv2d_weight(below, w.shape, u_c, padding=padding), g_c, b_c)
            if number:
                up = conv2d_input(below.shape, w, u_c, padding=padding)
        return found, total

    def curvature(
        self,
        parameters: dict[str, Tensor],
        directions: dict[str, Tensor],
        x: Tensor,
        y: Tensor,
        loss: Loss,
    ) -> tuple[Tensor, dict[str, Tensor], Tensor, Tensor]:
        """Return derivatives of ``<g, v>``, g being the gradient of the sum of the members' losses; see `Step`.

        The same as ``jvp(grad)``, at two thirds of its convolutions and without its graph: the tangents are carried
        forward with the network and backward with its gradient.

        Args:
            parameters, directions: by name; the directions are v.
            x: ``(N, C, H, W)``.
            y: labels, as `loss` reads them.
            loss: gives ``(N,)`` for logits ``(N, K)`` and `y`.

        Returns:
            ``<g, v>``, H v by name, and the derivatives in x and in y.
        """
        below: Tensor = x
        below_t: Tensor | None = None
        kept: list[tuple[Tensor, Tensor | None, Any]] = []
        for number, padding in enumerate(self.padding):
            (w, g, b), (w_t, g_t, b_t) = (self._block(number, each) for each in (parameters, directions))
            u = F.conv2d(below, w, padding=padding)
            u_t = F.conv2d(below, w_t, padding=padding)
            if below_t is not None:
                u_t += F.conv2d(below_t, w, padding=padding)
            above, above_t, planes = norm_act_pool_tangent(u, u_t, g, g_t, b, b_t)
            kept.append((below, below_t, planes))
            below, below_t = above, above_t
        w, w_t = parameters["classifier.weight"], directions["classifier.weight"]
        assert below_t is not None
        hidden, hidden_t = below.flatten(1), below_t.flatten(1)
        logits = F.linear(hidden, w, parameters["classifier.bias"])
        logits_t = F.linear(hidden, w_t, directions["classifier.bias"]) + F.linear(hidden_t, w)
        derivatives = grad(lambda z, y: loss(z, y).sum(), argnums=(0, 1))
        found: Any = jvp(lambda z: derivatives(z, y), (logits,), (logits_t,))
        (delta, _), (delta_t, y_t) = found
        bent = {"classifier.weight": delta_t.T @ hidden + delta.T @ hidden_t, "classifier.bias": delta_t.sum(0)}
        up, up_t = (delta @ w).view_as(below), (delta_t @ w + delta @ w_t).view_as(below)
        for number, padding in reversed(list(enumerate(self.padding))):
            (w, g, _), (w_t, g_t, _) = (self._block(number, each) for each in (parameters, directions))
            below, below_t, planes = kept.pop()
            u_c, u_ct, g_ct, b_ct = norm_act_pool_tangent_backward(up, up_t, planes, g, g_t)
            w_ct = conv2d_weight(below, w.shape, u_ct, padding=padding)
            if below_t is not None:
                w_ct += conv2d_weight(below_t, w.shape, u_c, padding=padding)
                up = conv2d_input(below.shape, w, u_c, padding=padding)
            up_t = conv2d_input(below.shape, w, u_ct, padding=padding)
            up_t += conv2d_input(below.shape, w_t, u_c, padding=padding)
            bent |= self._named(number, w_ct, g_ct, b_ct)
        return (delta * logits_t).sum(), bent, up_t, y_t

    @staticmethod
    def _block(number: int, tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return what a block has of these: the convolution's weight, gain and offset."""
        head = f"blocks.{number}"
        return tensors[f"{head}.convolution.weight"], tensors[f"{head}.gain"], tensors[f"{head}.offset"]

    @staticmethod
    def _named(number: int, weight: Tensor, gain: Tensor, offset: Tensor) -> dict[str, Tensor]:
        """Return a block's tensors by their parameters' names."""
        head = f"blocks.{number}"
        return {f"{head}.convolution.weight": weight, f"{head}.gain": gain, f"{head}.offset": offset}
