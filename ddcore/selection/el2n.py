"""EL2N: the members that briefly trained networks get most wrong."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from ddcore.data import Examples
from ddcore.problem import Problem
from ddcore.selection.proxy import Hardest, error_norm
from ddcore.training import predict


@dataclass(frozen=True)
class EL2N(Hardest):
    """The hardest members: largest error norm of briefly trained networks.

    Source: Paul et al. 2021, the EL2N score. Deviates: few networks, so that it costs less than a training.
    """

    name: ClassVar[str] = "el2n"
    kinds: ClassVar[tuple[str, ...]] = ("images", "text")

    def scores(self, net: nn.Module, members: Examples, problem: Problem) -> Tensor:
        """Return the error norms."""
        return error_norm(predict(net, problem.task, members.x, device=problem.device), members.y)
