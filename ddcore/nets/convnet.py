"""The field's ConvNet."""

import torch
from torch import Tensor, nn

from kernels import norm_act_pool


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
        padding = [3 if height == 28 else 1] + [1] * (depth - 1)
        self.blocks = nn.Sequential(*(Block(*sizes) for sizes in zip(widths, widths[1:], padding, strict=False)))
        with torch.no_grad():
            planes = self.blocks(torch.zeros(1, *shape)).flatten(1)
        self.classifier = nn.Linear(planes.shape[1], classes)

    def features(self, x: Tensor) -> Tensor:
        """Return the last block's output: ``(N, width * h * w)`` float32."""
        return self.blocks(x).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))
