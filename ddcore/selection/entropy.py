"""Entropy: the members that briefly trained networks are least sure of."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from ddcore.data import Examples
from ddcore.selection.choice import Choice
from ddcore.selection.proxy import Hardest
from ddcore.training import predict


@dataclass(frozen=True)
class Entropy(Hardest):
    """The least certain members: largest entropy of what briefly trained networks answer, labels left aside.

    Source: Coleman et al. 2020, selection via proxy, maximum entropy.
    """

    kinds: ClassVar[tuple[str, ...]] = ("images", "text")
    needs_teacher: ClassVar[bool] = False
    purpose: ClassVar[str] = "entropy"

    def scores(self, net: nn.Module, members: Examples, choice: Choice) -> Tensor:
        """Return the entropies."""
        return entropies(predict(net, choice.task, members.x, device=choice.device))


def entropies(logits: Tensor) -> Tensor:
    """Return the entropy ``(N,)``, in nats, of the probabilities behind logits ``(N, C)``."""
    log_p = logits.log_softmax(1)
    return -(log_p.exp() * log_p).sum(1)
