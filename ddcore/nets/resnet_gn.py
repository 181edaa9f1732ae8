"""A residual network without batch statistics, for the inner loop."""

from torch import Tensor, nn
from torch.nn import functional as F


class Residual(nn.Module):
    """Two convolutions 3x3 with group norm around a shortcut; the first may halve the image."""

    def __init__(self, channels: int, width: int, stride: int, groups: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.first_norm = nn.GroupNorm(groups, width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second_norm = nn.GroupNorm(groups, width)
        same = stride == 1 and channels == width
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.shortcut(x) + self.second_norm(self.second(hidden)))


class ResNetGN(nn.Module):
    """A stem at half resolution and three residual blocks; every norm is a group norm.

    Args:
        shape: ``(C, H, W)`` of an image.
        classes: number of classes.
        widths: channels of the three blocks, the second and third of which halve the image.
        groups: of every norm.

    Source: He et al. 2016 with Wu & He 2018's norm; one block per stage.
    """

    def __init__(
        self, shape: tuple[int, ...], classes: int, widths: tuple[int, int, int] = (32, 64, 128), groups: int = 8
    ) -> None:
        super().__init__()
        high, middle, low = widths
        self.stem = nn.Conv2d(shape[0], high, 3, stride=2, padding=1, bias=False)
        self.stem_norm = nn.GroupNorm(groups, high)
        self.blocks = nn.Sequential(
            Residual(high, high, 1, groups), Residual(high, middle, 2, groups), Residual(middle, low, 2, groups)
        )
        self.classifier = nn.Linear(low, classes)

    def features(self, x: Tensor) -> Tensor:
        """Return the mean over the last planes: ``(N, widths[2])`` float32."""
        return self.blocks(F.relu(self.stem_norm(self.stem(x)))).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))
