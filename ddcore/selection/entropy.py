"""Entropy: the members that briefly trained networks are least sure of."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ddcore.selection.proxy import Hardest


@dataclass(frozen=True)
class Entropy(Hardest):
    """The least certain members: largest entropy of what briefly trained networks answer, labels left aside.

    Source: Coleman et al. 2020, selection via proxy, maximum entropy.
    """

    name: ClassVar[str] = "entropy"
    kinds: ClassVar[tuple[str, ...]] = ("images", "text")

    def score(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the entropies."""
        return entropies(logits)


def entropies(logits: Tensor) -> Tensor:
    """Return the entropy ``(N,)``, in nats, of the probabilities behind logits ``(N, C)``."""
    log_p = logits.log_softmax(1)
    return -(log_p.exp() * log_p).sum(1)
