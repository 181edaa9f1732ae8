"""The field's ConvNet."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import grad, jvp
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

from kernels import norm_act_pool, norm_act_pool_tangent, norm_act_pool_tangent_backward


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

    def curvature(
        self,
        parameters: dict[str, Tensor],
        directions: dict[str, Tensor],
        x: Tensor,
        y: Tensor,
        loss: Callable[[Tensor, Tensor], Tensor],
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
        kept: list[tuple[Any, ...]] = []
        for number in range(len(self.blocks)):
            (w, g, b), (w_t, g_t, b_t) = (
                [each[f"blocks.{number}.{name}"] for name in ("convolution.weight", "gain", "offset")]
                for each in (parameters, directions)
            )
            padding = self.padding[number]
            w, w_t = (each.contiguous(memory_format=torch.channels_last) for each in (w, w_t))
            u = F.conv2d(below, w, padding=padding)
            if below_t is None:
                u_t = F.conv2d(below, w_t, padding=padding)
            else:
                u_t = F.conv2d(torch.cat([below, below_t], 1), torch.cat([w_t, w], 1), padding=padding)
            above, above_t, planes = norm_act_pool_tangent(u, u_t, g, g_t, b, b_t)
            kept.append((below, below_t, w, w_t, g, g_t, b, padding, planes))
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
        for number in reversed(range(len(kept))):
            below, below_t, w, w_t, g, g_t, b, padding, planes = kept.pop()
            u_c, u_ct, g_ct, b_ct = norm_act_pool_tangent_backward(up, up_t, planes, g, g_t, b)
            w_ct = conv2d_weight(below, w.shape, u_ct, padding=padding)
            if below_t is not None:
                w_ct = w_ct + conv2d_weight(below_t, w.shape, u_c, padding=padding)
                up = conv2d_input(below.shape, w, u_c, padding=padding)
            up_t = conv2d_input(below.shape, torch.cat([w, w_t]), torch.cat([u_ct, u_c], 1), padding=padding)
            bent |= {
                f"blocks.{number}.convolution.weight": w_ct,
                f"blocks.{number}.gain": g_ct,
                f"blocks.{number}.offset": b_ct,
            }
        return (delta * logits_t).sum(), bent, up_t, y_t
