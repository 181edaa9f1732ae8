"""dm: images whose features, in random networks, have the same mean as the real members'."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ddcore.data.task import Task
from ddcore.methods.matching import Matched, MatchOptions, embedded
from ddcore.nets.own import need_features
from ddcore.options import option
from ddcore.synthesis import Part
from ddcore.teacher import Teacher
from kernels import class_moments


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


@dataclass(frozen=True)
class Shard:
    """One network's part of a step."""

    step: int
    network: int


class DMRun(Matched):
    """One run."""

    method: DM

    def shards(self, step: int) -> list[Shard]:
        """Return the networks of a step."""
        return [Shard(step, network) for network in range(self.method.networks)]

    def gradient(self, shard: Shard) -> Part:
        """Return the gradient of the distance in one random network."""
        net: Any = self.awake(self.fresh("embed", shard.step, shard.network)).requires_grad_(False)
        x = self.x.detach().requires_grad_()
        pairs = self.pairs(x, shard.step, shard.network)
        with torch.no_grad():
            real = embedded(net, torch.cat([pair.real for pair in pairs]))
        made = embedded(net, torch.cat([pair.x for pair in pairs]))
        real_y, y = torch.cat([pair.real_y for pair in pairs]), torch.cat([pair.y for pair in pairs])
        loss = distance(real, real_y, made, y, len(pairs), self.method.moments)
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


def distance(real: Tensor, real_y: Tensor, made: Tensor, y: Tensor, classes: int, moments: int) -> Tensor:
    """Return how far apart the classes' features are: ``()``.

    The squared distance of the means, summed over classes; with two moments also the squared Frobenius distance of
    the covariances over the features' mean square, through Gram matrices: ``|X X'|² / n² - 2 |X Y'|² / nm +
    |Y Y'|² / m²`` for centred X ``(n, D)`` and Y ``(m, D)`` is that of their covariances, at the cost of n and m.

    Args:
        real, made: ``(B, D)`` and ``(N, D)``; `made` carries the graph.
        real_y, y: ``(B,)`` and ``(N,)`` int64.
        classes: how many.
        moments: 1 or 2.
    """
    _, real_mean, real_square = class_moments(real, real_y, classes)
    _, mean, _ = class_moments(made, y, classes)
    total = (real_mean - mean).square().sum()
    if moments == 1:
        return total
    scale = real_square.mean(1)
    for k in range(classes):
        a, b = real[real_y == k] - real_mean[k], made[y == k] - mean[k]
        apart = (
            (a @ a.T).square().sum() / len(a) ** 2
            - 2 * (a @ b.T).square().sum() / (len(a) * len(b))
            + (b @ b.T).square().sum() / len(b) ** 2
        )
        total = total + apart / scale[k]
    return total
