"""ResNet-18 for small images."""

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, ResNet


class ResNet18(ResNet):
    """torchvision's ResNet-18 with a 3x3 first convolution of stride 1 and no pool after it.

    Args:
        shape: ``(C, H, W)`` of an image.
        classes: number of classes.

    Source: He et al. 2016, in the form that its CIFAR users gave it.
    """

    layout = torch.channels_last

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2], num_classes=classes)
        self.conv1 = nn.Conv2d(shape[0], 64, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.maxpool = nn.Identity()

    def features(self, x: Tensor) -> Tensor:
        """Return the averages of the last stage: ``(N, 512)`` float32."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.avgpool(x).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x))
