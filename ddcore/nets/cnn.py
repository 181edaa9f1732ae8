"""A one-layer convolutional network on words."""

from torch import Tensor, nn
from torch.nn import functional as F

from ddcore.nets.words import WordVectors, mean_over_words


class TextCNN(nn.Module):
    """Word vectors, one convolution over windows of three words, ReLU, mean over the text, logits.

    Source: Kim 2014. Deviates: one window size; the mean instead of the maximum over the text, as in Johnson and
    Zhang 2015, because the scale of the features then depends less on the length of the text.
    """

    def __init__(self, classes: int, words: int, width: int = 64, filters: int = 64, window: int = 3) -> None:
        super().__init__()
        self.words = WordVectors(words, width, dropped=0.2)
        self.conv = nn.Conv1d(width, filters, window, padding=window // 2)
        self.drop = nn.Dropout(0.5)
        self.out = nn.Linear(filters, classes)

    def features(self, ids: Tensor) -> Tensor:
        """Return the pooled filters ``(N, D)`` for ids ``(N, L)`` int64."""
        filtered = F.relu(self.conv(self.drop(self.words(ids)).transpose(1, 2))).transpose(1, 2)
        return self.drop(mean_over_words(filtered, ids))

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits ``(N, C)`` for ids ``(N, L)`` int64, padded with 0, or synthetic texts; see `WordVectors`."""
        return self.out(self.features(ids))
