"""rat-bptt: a random window of a long inner loop is differentiated, and the gradient clipped by its running norm."""

from dataclasses import dataclass
from typing import ClassVar

from ddcore.methods.windows import Windowed, WindowRun
from ddcore.problem import Problem
from ddcore.runtime import Session


@dataclass(frozen=True)
class RatBPTT(Windowed):
    """Images learned through random windows of long trainings.

    A pool of networks is trained on the synthetic set, each from fresh weights to the end of the unroll and then from
    fresh weights again. An outer step takes one of them, trains it for a window of steps and differentiates the loss
    that real members then have through these steps; the network continues from there. First windows begin at random
    steps, so that all of the unroll is covered. The gradient is scaled down where it is longer than its running mean.

    Source: Feng et al. 2024. Deviates: networks continue from window to window (a pool) instead of being trained from
    the start for each; one step size, learned as its logarithm.
    """

    name: ClassVar[str] = "rat-bptt"

    def start(self, problem: Problem, session: Session) -> WindowRun:
        """Return the set to begin with and a young pool.

        Raises:
            UsageError: the budget cannot be cut into the batches, the window does not fit, or a teacher is missing.
        """
        return WindowRun(self, problem, session, self.variables(problem, session))
