"""LeNet-5."""

from torch import Tensor, nn
from torch.nn import functional as F


class LeNet(nn.Module):
    """Two convolutions 5x5 with max pools and three linear layers; images smaller than 32x32 are padded with zeros.

    Args:
        shape: ``(C, H, W)`` of an image.
        classes: number of classes.

    Source: LeCun et al. 1998. Deviates: ReLU and max pools.
    """

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        top, left = max(0, 32 - height), max(0, 32 - width)
        self.frame = (left // 2, left - left // 2, top // 2, top - top // 2)
        self.first = nn.Conv2d(channels, 6, 5)
        self.second = nn.Conv2d(6, 16, 5)
        sides = [(max(32, side) - 4) // 2 for side in (height, width)]
        area = ((sides[0] - 4) // 2) * ((sides[1] - 4) // 2)
        self.third = nn.Linear(16 * area, 120)
        self.fourth = nn.Linear(120, 84)
        self.classifier = nn.Linear(84, classes)

    def features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer: ``(N, 84)`` float32."""
        x = F.max_pool2d(F.relu(self.first(F.pad(x, self.frame))), 2)
        x = F.max_pool2d(F.relu(self.second(x)), 2)
        return F.relu(self.fourth(F.relu(self.third(x.flatten(1)))))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))
