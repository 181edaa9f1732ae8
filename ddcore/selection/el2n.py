"""EL2N: the members that briefly trained networks get most wrong."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ddcore.selection.proxy import Hardest, error_norm


@dataclass(frozen=True)
class EL2N(Hardest):
    """The hardest members: largest error norm of briefly trained networks.

    Source: Paul et al. 2021, the EL2N score. Deviates: few networks, so that it costs less than a training.
    """

    name: ClassVar[str] = "el2n"
    kinds: ClassVar[tuple[str, ...]] = ("images", "text")

    def score(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the error norms."""
        return error_norm(logits, y)
