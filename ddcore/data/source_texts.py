"""The texts of members as they were before they became tokens: case, punctuation and line breaks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SourceTexts:
    """The texts of some members. They are read when they are asked for: a stage needs few of them, and only at its end.

    Attributes:
        read: gives all texts of the training set.
        choices: indices ``(K,)`` int64: the first into all texts, each later one into the texts chosen before it.
    """

    read: Callable[[], Sequence[str]]
    choices: tuple[Tensor, ...] = ()

    def __getitem__(self, index: Tensor) -> "SourceTexts":
        """Return the texts at the indices ``(K,)`` int64; nothing is read or computed yet."""
        return SourceTexts(self.read, (*self.choices, index))

    def load(self) -> list[str]:
        """Read the texts.

        Raises:
            DDCoreError: a file is missing or damaged, or has changed.
        """
        whole = self.read()
        places = torch.arange(len(whole))
        for index in self.choices:
            places = places[index.to(places.device)]
        return [whole[place] for place in places.tolist()]
