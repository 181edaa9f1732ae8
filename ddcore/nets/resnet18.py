"""ResNet-18, with a stem that suits the size of the images."""

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, ResNet

LARGE = 96
"""Pixels of the shorter side from which images get the stem of ImageNet."""


class ResNet18(ResNet):
    """torchvision's ResNet-18; images of less than 96 pixels per side get a 3x3 stem of stride 1 and no pool after it.

    Args:
        shape: ``(C, H, W)`` of an image.
        classes: number of classes.

    Source: He et al. 2016; for small images in the form that its CIFAR users gave it.
    """

    layout = torch.channels_last

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2], num_classes=classes)
        large = min(shape[1:]) >= LARGE
        size, stride = (7, 2) if large else (3, 1)
        self.conv1 = nn.Conv2d(shape[0], 64, size, stride, padding=size // 2, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        if not large:
            self.maxpool = nn.Identity()

    def features(self, x: Tensor) -> Tensor:
        """Return the averages of the last stage: ``(N, 512)`` float32."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.avgpool(x).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x))
