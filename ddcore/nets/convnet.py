"""The ConvNet of the literature, at any width: blocks of convolution, instance norm, ReLU and pooling."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

from ddcore.kernels import (
    first_block_backward,
    first_block_forward,
    first_block_tangent,
    first_block_tangent_backward,
    fused,
    norm_act_pool,
    norm_act_pool_backward,
    norm_act_pool_forward,
    norm_act_pool_tangent,
    norm_act_pool_tangent_backward,
)
from ddcore.nets import convnet_last
from ddcore.nets.convnet_last import block
from ddcore.unroll import WeightedLoss

# The passes of the first block that a GPU runs fused with its convolution; each may be taken out alone.
FUSED = frozenset({"forward", "backward", "tangent", "tangent_backward"})
# Images of these sides and larger get a block more each, so that the last planes have 3x3 or 4x4 pixels at the usual
# sizes: 4 blocks at 64, 5 at 128, 6 at 224 and 256.
DEEPER = (64, 112, 224, 448)


class Block(nn.Module):
    """Convolution 3x3, instance norm, ReLU, 2x2 average pool. No bias, because the norm would cancel it."""

    def __init__(self, channels: int, width: int, padding: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, width, 3, padding=padding, bias=False)
        self.gain = nn.Parameter(torch.ones(width))
        self.offset = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        # Autocast convolves in bfloat16; the norm is computed in float32.
        return norm_act_pool(self.convolution(x).to(self.gain.dtype), self.gain, self.offset)


class ConvNet(nn.Module):
    """Blocks of one width, then a linear layer: the usual network for comparing distilled images.

    Args:
        shape: ``(C, H, W)`` of an image. The first convolution turns 28x28 images into 32x32, as in the literature.
        classes: number of classes.
        width: channels of every block; 128 in the literature.
        depth: number of blocks; each halves the image. None: three, one more from each size of `DEEPER` on.

    Source: Gidaris & Komodakis 2018; Zhao et al. 2021; depth by size as in Cazenavette et al. 2022. Deviates: no bias
    before the norm, which would cancel it.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, width: int, depth: int | None = None) -> None:
        super().__init__()
        channels, height, _ = shape
        depth = depth or 3 + sum(min(shape[1:]) >= side for side in DEEPER)
        widths = [channels] + [width] * depth
        self.padding = [3 if height == 28 else 1] + [1] * (depth - 1)
        self.blocks = nn.Sequential(*(Block(*sizes) for sizes in zip(widths, widths[1:], self.padding, strict=False)))
        with torch.no_grad():
            planes = self.blocks(torch.zeros(1, *shape)).flatten(1)
        self.classifier = nn.Linear(planes.shape[1], classes)

    def features(self, x: Tensor) -> Tensor:
        """Return the output of the last block: ``(N, width * h * w)`` float32."""
        return self.blocks(x).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))

    def slope(
        self, parameters: dict[str, Tensor], x: Tensor, y: Tensor, loss: WeightedLoss
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the gradient of a micro-batch's loss by name, and its members' losses ``(N,)``; see `Step`.

        Args:
            parameters: by name.
            x: ``(N, C, H, W)``.
            y: labels, as `loss` reads them.
            loss: its derivatives in logits ``(N, K)``.
        """
        if convnet_last.fits(x, self.padding):
            return convnet_last.slope(self.padding, parameters, x, y, loss)
        w, g, b = block(0, parameters)
        below, first = first_block_forward(x, w, g, b, self.padding[0], "forward" in FUSED)
        saved = []
        for number, padding in self._upper():
            w, g, b = block(number, parameters)
            above, planes = norm_act_pool_forward(F.conv2d(below, w, padding=padding), g, b)
            saved.append((below, planes))
            below = above
        hidden, w = below.flatten(1), parameters["classifier.weight"]
        delta, losses = loss.gradient(F.linear(hidden, w, parameters["classifier.bias"]), y)
        gradient, parts = {"classifier.weight": delta.T @ hidden}, {"classifier.bias": delta}
        up = (delta @ w).view_as(below)
        for number, padding in reversed(self._upper()):
            w, g, b = block(number, parameters)
            below, planes = saved.pop()
            u_c, shares = norm_act_pool_backward(up, planes, g, b)
            parts |= self._named(number, shares)
            gradient[f"blocks.{number}.convolution.weight"] = conv2d_weight(below, w.shape, u_c, padding=padding)
            up = conv2d_input(below.shape, w, u_c, padding=padding)
        _, g, b = block(0, parameters)
        w_c, shares = first_block_backward(up, first, g, b, "backward" in FUSED)
        parts |= self._named(0, shares, w_c)
        return gradient | self._summed(parts), losses

    def curvature(
        self,
        parameters: dict[str, Tensor],
        directions: dict[str, Tensor],
        x: Tensor,
        y: Tensor,
        loss: WeightedLoss,
    ) -> tuple[Tensor, dict[str, Tensor], Tensor, Tensor]:
        """Return derivatives of ``<g, v>``, g being the gradient of a micro-batch's loss; see `Step`.

        Equal to ``jvp(grad)``, with two thirds of its convolutions and without its graph: tangents are propagated
        forward with the values and backward with the gradient. Values and tangents are stacked along the batch, so
        that one convolution with the weights serves both.

        Args:
            parameters, directions: by name; the directions are v.
            x: ``(N, C, H, W)``.
            y: labels, as `loss` reads them.
            loss: its derivatives in logits ``(N, K)``.

        Returns:
            ``<g, v>``, H v by name, and the derivatives in x and in y.
        """
        if convnet_last.fits(x, self.padding):
            return convnet_last.curvature(self.padding, (parameters, directions), x, y, loss)
        n = len(x)
        (w, g, b), (w_t, g_t, b_t) = (block(0, each) for each in (parameters, directions))
        below, first = first_block_tangent(x, w, w_t, g, g_t, b, b_t, self.padding[0], "tangent" in FUSED)
        saved = []
        for number, padding in self._upper():
            (w, g, b), (w_t, g_t, b_t) = (block(number, each) for each in (parameters, directions))
            both = F.conv2d(below, w, padding=padding)
            u, u_t = both[:n], both[n:].add_(F.conv2d(below[:n], w_t, padding=padding))
            above, planes = norm_act_pool_tangent(u, u_t, g, g_t, b, b_t)
            saved.append((below, planes))
            below = above
        w, w_t = parameters["classifier.weight"], directions["classifier.weight"]
        hidden, hidden_t = below.flatten(1).tensor_split(2)
        logits = F.linear(hidden, w, parameters["classifier.bias"])
        logits_t = F.linear(hidden, w_t, directions["classifier.bias"]).addmm_(hidden_t, w.T)
        slope, delta, delta_t, y_t = loss.tangent(logits, logits_t, y)
        bent = {"classifier.weight": torch.addmm(delta_t.T @ hidden, delta.T, hidden_t)}
        parts = {"classifier.bias": delta_t}
        up_t, up = torch.addmm(delta_t @ w, delta, w_t).view_as(below[:n]), (delta @ w).view_as(below[:n])
        for number, padding in reversed(self._upper()):
            (w, g, b), (w_t, g_t, _) = (block(number, each) for each in (parameters, directions))
            below, planes = saved.pop()
            both, shares = norm_act_pool_tangent_backward(up, up_t, planes, g, g_t, b)
            parts |= self._named(number, shares)
            bent[f"blocks.{number}.convolution.weight"] = conv2d_weight(below, w.shape, both, padding=padding)
            across = conv2d_input(below[:n].shape, w_t, both[n:], padding=padding)
            up_t, up = conv2d_input(below.shape, w, both, padding=padding).tensor_split(2)
            up_t = up_t.add_(across)
        (_, g, b), (_, g_t, _) = (block(0, each) for each in (parameters, directions))
        w_ct, shares, x_t = first_block_tangent_backward(up, up_t, first, g, g_t, b, "tangent_backward" in FUSED)
        parts |= self._named(0, shares, w_ct)
        return slope, bent | self._summed(parts), x_t, y_t

    def _upper(self) -> list[tuple[int, int]]:
        """Return the number and the padding of every block but the first."""
        return list(enumerate(self.padding))[1:]

    @staticmethod
    def _named(number: int, shares: Tensor, w_c: Tensor | None = None) -> dict[str, Tensor]:
        """Return the parts of one block's derivatives by name: of gain and offset ``(2, N, C)``, and of the weight."""
        parts = {f"blocks.{number}.gain": shares[0], f"blocks.{number}.offset": shares[1]}
        return parts if w_c is None else parts | {f"blocks.{number}.convolution.weight": w_c}

    @staticmethod
    def _summed(parts: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the sums of tensors ``(N or 1, ...)`` over their first axis: on a GPU in two launches for all."""
        whole = {name: part[0] for name, part in parts.items() if len(part) == 1}
        rows = {name: part for name, part in parts.items() if len(part) > 1}
        if not rows or not fused(next(iter(rows.values()))):
            return whole | {name: part.sum(0) for name, part in rows.items()}
        total = torch.cat([part.flatten(1) for part in rows.values()], 1).sum(0)
        sums = total.split([part[0].numel() for part in rows.values()])
        return whole | {name: each.view(part.shape[1:]) for (name, part), each in zip(rows.items(), sums, strict=True)}
