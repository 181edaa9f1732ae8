"""An embedding bag with a hidden layer."""

from torch import Tensor, nn
from torch.nn import functional as F

from ddcore.nets.words import WordVectors, mean_over_words


class Bag(nn.Module):
    """The mean of a text's word vectors, a hidden layer, logits. The order of words is ignored."""

    def __init__(self, classes: int, words: int, width: int = 64, hidden: int = 64) -> None:
        super().__init__()
        self.words = WordVectors(words, width, dropped=0.3)
        self.hidden = nn.Linear(width, hidden)
        self.drop = nn.Dropout(0.5)
        self.out = nn.Linear(hidden, classes)

    def features(self, ids: Tensor) -> Tensor:
        """Return the hidden layer ``(N, D)`` for ids ``(N, L)`` int64."""
        mean = mean_over_words(self.words(ids), ids)
        return self.drop(F.relu(self.hidden(self.drop(mean))))

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits ``(N, C)`` for ids ``(N, L)`` int64, padded with 0, or synthetic texts; see `WordVectors`."""
        return self.out(self.features(ids))
