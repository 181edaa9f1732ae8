"""Entropy: the members that briefly trained networks are least sure of."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from ddcore.data import Examples
from ddcore.problem import Problem
from ddcore.selection.proxy import Hardest
from ddcore.training import predict


@dataclass(frozen=True)
class Entropy(Hardest):
    """The least certain members: largest entropy of what briefly trained networks answer, labels left aside.

    Source: Coleman et al. 2020, selection via proxy, maximum entropy.
    """

    name: ClassVar[str] = "entropy"
    kinds: ClassVar[tuple[str, ...]] = ("images", "text")

    def scores(self, net: nn.Module, members: Examples, problem: Problem) -> Tensor:
        """Return the entropies."""
        return entropies(predict(net, problem.task, members.x, device=problem.device))


def entropies(logits: Tensor) -> Tensor:
    """Return the entropy ``(N,)``, in nats, of the probabilities behind logits ``(N, C)``."""
    log_p = logits.log_softmax(1)
    return -(log_p.exp() * log_p).sum(1)
