"""The network that FRePo and RCIG evaluate: blocks of convolution, ReLU and pooling, each twice as wide as the last."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddcore.nets.convnet import DEEPER

# Standard deviation of a normal distribution that is cut at two of its own.
CUT_NORMAL = 0.87962566103423978


class ConvNetFRePo(nn.Module):
    """Blocks of convolution 3x3 with bias, ReLU and 2x2 average pool, without norm; then a linear layer.

    Weights start from a normal distribution that is cut at two standard deviations, with the variance 1 / fan-in;
    biases start at zero.

    Args:
        shape: ``(C, H, W)`` of an image. The first convolution pads grey images by 3, so that 28x28 become 32x32.
        classes: number of classes.
        width: channels of the first block; each block doubles them.

    Source: Zhou, Nezhadarya & Ba 2022, their repository yongchao97/FRePo, and yolky/RCIG, ``models.py``, class Conv.
    Deviates: the number of blocks of images from 224 pixels on.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, width: int) -> None:
        super().__init__()
        channels, height, columns = shape
        depth = 3 + sum(min(shape[1:]) >= side for side in DEEPER)
        widths = [channels, *(width * 2**block for block in range(depth))]
        paddings = [3 if channels == 1 else 1] + [1] * (depth - 1)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(below, above, 3, padding=padding)
            for below, above, padding in zip(widths, widths[1:], paddings, strict=False)
        )
        for padding in paddings:
            height, columns = (height + 2 * padding - 2) // 2, (columns + 2 * padding - 2) // 2
        self.classifier = nn.Linear(widths[-1] * height * columns, classes)
        for layer in (*self.convolutions, self.classifier):
            scale = 1 / math.sqrt(layer.weight[0].numel()) / CUT_NORMAL
            nn.init.trunc_normal_(layer.weight, std=scale, a=-2 * scale, b=2 * scale)
            nn.init.zeros_(layer.bias)

    def features(self, x: Tensor) -> Tensor:
        """Return the output of the last block: ``(N, channels * h * w)`` float32."""
        for convolution in self.convolutions:
            x = F.avg_pool2d(torch.relu(convolution(x)), 2)
        return x.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))
