"""The ConvNet of the literature, at any width: blocks of convolution, instance norm, ReLU and pooling."""

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddcore.kernels import (
    convolution_backward,
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

T = TypeVar("T")
# The passes of the first block that a GPU runs fused with its convolution; each may be taken out alone.
FUSED = frozenset({"forward", "backward", "tangent", "tangent_backward"})
# Images of these sides and larger get a block more each, so that the last planes have 3x3 or 4x4 pixels at the usual
# sizes: 4 blocks at 64, 5 at 128, 6 at 224 and 256.
DEEPER = (64, 112, 224, 448)
# The layout of planes where kernels run and convolutions compute in TF32. cuDNN's kernels for tensor cores work in
# channels-last, and others are converted before and after them: 18.6 % of a window step of width 128 on an H200.
LAYOUT = torch.channels_last


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
        layout = self._layout(x)
        blocks = self._blocks(layout, parameters)
        w, g, b = blocks[0]
        below, first = first_block_forward(x, w, g, b, self.padding[0], "forward" in FUSED, layout)
        saved = []
        for number, ((w, g, b), padding) in enumerate(self._upper(blocks), 1):
            u = F.conv2d(below, w, padding=padding)
            above, planes = norm_act_pool_forward(u, g, b, layout=self._above(number, layout))
            saved.append((below, planes))
            below = above
        hidden, w = below.flatten(1), parameters["classifier.weight"]
        delta, losses = loss.gradient(F.linear(hidden, w, parameters["classifier.bias"]), y)
        gradient, parts = {"classifier.weight": delta.T @ hidden}, {"classifier.bias": delta}
        up = (delta @ w).view_as(below)
        for (w, g, b), padding in reversed(self._upper(blocks)):
            below, planes = saved.pop()
            number = len(saved) + 1
            u_c, shares = norm_act_pool_backward(up, planes, g, b)
            parts |= self._named(number, shares)
            up, gradient[f"blocks.{number}.convolution.weight"] = convolution_backward(u_c, below, w, padding)
        _, g, b = blocks[0]
        w_c, shares = first_block_backward(up, first, g, b, "backward" in FUSED)
        parts |= self._named(0, shares, w_c)
        return self._contiguous(gradient) | self._summed(parts), losses

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
        n, layout = len(x), self._layout(x)
        blocks = self._blocks(layout, parameters, directions)
        w, w_t, g, g_t, b, b_t = blocks[0]
        below, first = first_block_tangent(x, w, w_t, g, g_t, b, b_t, self.padding[0], "tangent" in FUSED, layout)
        saved = []
        for number, ((w, w_t, g, g_t, b, b_t), padding) in enumerate(self._upper(blocks), 1):
            both = F.conv2d(below, w, padding=padding)
            u, u_t = both[:n], both[n:].add_(F.conv2d(below[:n], w_t, padding=padding))
            above, planes = norm_act_pool_tangent(u, u_t, g, g_t, b, b_t, layout=self._above(number, layout))
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
        for (w, w_t, g, g_t, b, _), padding in reversed(self._upper(blocks)):
            below, planes = saved.pop()
            number = len(saved) + 1
            both, shares = norm_act_pool_tangent_backward(up, up_t, planes, g, g_t, b)
            parts |= self._named(number, shares)
            across, _ = convolution_backward(both[n:], below[:n], w_t, padding, (True, False))
            down, bent[f"blocks.{number}.convolution.weight"] = convolution_backward(both, below, w, padding)
            up_t, up = down.tensor_split(2)
            up_t = up_t.add_(across)
        _, _, g, g_t, b, _ = blocks[0]
        w_ct, shares, x_t = first_block_tangent_backward(up, up_t, first, g, g_t, b, "tangent_backward" in FUSED)
        parts |= self._named(0, shares, w_ct)
        return slope, self._contiguous(bent) | self._summed(parts), x_t.contiguous(), y_t

    @staticmethod
    def _layout(x: Tensor) -> torch.memory_format:
        """Return the layout of the planes between convolutions."""
        return LAYOUT if fused(x) and torch.backends.cudnn.allow_tf32 else torch.contiguous_format

    def _upper(self, blocks: Sequence[T]) -> list[tuple[T, int]]:
        """Return the tensors and the padding of every block but the first."""
        return list(zip(blocks, self.padding, strict=True))[1:]

    def _above(self, number: int, layout: torch.memory_format) -> torch.memory_format:
        """Return the layout of a block's output: what the classifier takes is contiguous."""
        return torch.contiguous_format if number + 1 == len(self.padding) else layout

    def _blocks(self, layout: torch.memory_format, *groups: dict[str, Tensor]) -> list[tuple[Tensor, ...]]:
        """Return each block's tensors: the weights of all groups, the gains of all, the offsets of all.

        Weights of the upper blocks, which have one shape, are brought to the layout in one launch.
        """
        weights, gains, offsets = zip(
            *(zip(*(block(number, each) for each in groups), strict=True) for number in range(len(self.padding))),
            strict=True,
        )
        if layout == torch.channels_last and len(weights) > 1:
            upper = torch.cat([w.permute(0, 2, 3, 1) for row in weights[1:] for w in row]).permute(0, 3, 1, 2)
            laid = upper.split(len(weights[1][0]))
            weights = weights[0], *zip(*(laid[k :: len(groups)] for k in range(len(groups))), strict=True)
        return [(*w, *g, *b) for w, g, b in zip(weights, gains, offsets, strict=True)]

    @staticmethod
    def _contiguous(parts: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return derivatives, those of weights in channels-last made contiguous in one launch for all."""
        last = {name: part for name, part in parts.items() if part.ndim == 4 and not part.is_contiguous()}
        if not last:
            return parts
        rows = torch.cat([part.flatten(2) for part in last.values()])
        whole = rows.split([len(part) for part in last.values()])
        return parts | {name: each.view(last[name].shape) for name, each in zip(last, whole, strict=True)}

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
