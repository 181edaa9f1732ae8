"""The ConvNet of the literature with batch norm: the network whose statistics say what its training images were."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddcore.nets.convnet import DEEPER


class BatchNormBlock(nn.Module):
    """Convolution 3x3, batch norm, ReLU, 2x2 average pool. No bias, because the norm would cancel it."""

    def __init__(self, channels: int, width: int, padding: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, width, 3, padding=padding, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(torch.relu(self.norm(self.convolution(x))), 2)


class ConvNetBN(nn.Module):
    """Blocks of one width, then a linear layer: `ConvNet` with batch norm in place of instance norm.

    In training mode it normalises over the batch and follows the statistics of its batches, which are saved with it;
    in evaluation mode it uses these.

    Args:
        shape: ``(C, H, W)`` of an image. The first convolution turns 28x28 images into 32x32, as `ConvNet` does.
        classes: number of classes.
        width: channels of every block; 128 in the literature. The number of blocks is that of `ConvNet`.

    Source: Zhao et al. 2021, ``networks.py`` with ``net_norm="batch"``; the network of RDED and CIM, there ``conv3``.
    Deviates: no bias before the norm, which would cancel it.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, width: int) -> None:
        super().__init__()
        channels, height, columns = shape
        depth = 3 + sum(min(shape[1:]) >= side for side in DEEPER)
        widths = [channels] + [width] * depth
        paddings = [3 if height == 28 else 1] + [1] * (depth - 1)
        self.blocks = nn.Sequential(
            *(BatchNormBlock(*sizes) for sizes in zip(widths, widths[1:], paddings, strict=False))
        )
        for padding in paddings:
            height, columns = (height + 2 * padding - 2) // 2, (columns + 2 * padding - 2) // 2
        self.classifier = nn.Linear(width * height * columns, classes)

    def features(self, x: Tensor) -> Tensor:
        """Return the output of the last block: ``(N, width * h * w)`` float32."""
        planes: Tensor = self.blocks(x)
        return planes.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))
