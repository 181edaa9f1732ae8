"""A multilayer perceptron."""

import math

from torch import Tensor, nn


class MLP(nn.Module):
    """Two hidden layers with ReLU on the flat image.

    Args:
        shape: ``(C, H, W)`` of an image.
        classes: number of classes.
        width: units of a hidden layer.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, width: int = 256) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Flatten(), nn.Linear(math.prod(shape), width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.classifier = nn.Linear(width, classes)

    def features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer: ``(N, width)`` float32."""
        return self.hidden(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))
