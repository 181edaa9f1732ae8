"""dm: images whose features, in random networks, have the same mean as the real members'."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ddcore.data import Task
from ddcore.methods.features import distance, features_of
from ddcore.methods.matching import Matched, MatchOptions, Shard, shared_out
from ddcore.nets import need_features
from ddcore.options import option
from ddcore.synthesis import Part
from ddcore.training import Teacher


@dataclass(frozen=True)
class DM(MatchOptions):
    """Distribution matching: in each step a random network embeds both, and class means are drawn together.

    Source: Zhao & Bilen 2023, eq. 4. ``--moments 2`` adds the distance of the covariances, which it does not have.
    """

    kinds: ClassVar[tuple[str, ...]] = ("images", "text")
    needs_teacher: ClassVar[bool] = False

    augment: str = option("colour,crop,cutout,flip,scale,rotate", "Siamese changes to draw from, with commas between")
    moments: int = option(1, "1 matches means, 2 covariances, too", low=1, high=2)
    networks: int = option(1, "random networks a step", low=1)

    def quick(self) -> "DM":
        """Return these options at toy length."""
        return self.shortened()

    def start(self, task: Task, budget: int, teacher: Teacher | None, seed: int, device: torch.device) -> "DMRun":
        """Return real members to begin with.

        Raises:
            UsageError: a name is unknown, the budget cannot be had, a teacher is missing, or the network has no
                features.
        """
        run = DMRun(self, task, budget, teacher, seed, device)
        need_features(run.fresh("embed"), run.net_name, "dm")
        return run


class DMRun(Matched):
    """One run."""

    method: DM

    def shards(self, step: int) -> list[Shard]:
        """Return the classes of each network of a step, in groups."""
        return shared_out(step, self.method.networks, len(self.task.classes), self.method.shards)

    def gradient(self, shard: Shard) -> Part:
        """Return the gradient of some classes' distance in one random network."""
        net: Any = self.awake(self.fresh("embed", shard.step, shard.network)).requires_grad_(False)
        x = self.x.detach().requires_grad_()
        pairs = self.pairs(x, shard)
        loss = shard.of * distance(*features_of(net, pairs), len(pairs), self.method.moments)
        (slope,) = torch.autograd.grad(loss, x)
        return Part({"x": slope}, {"loss": float(loss.detach())})

    def absorb(self, shard: Shard, update: dict[str, Tensor]) -> None:
        """Do nothing: no network outlives its step."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return the images."""
        return {"x": self.x}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put such a state in place."""
        self.x.copy_(state["x"])
