"""dc and dsa: images on which a network's loss pulls the same way as on real members."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddcore.data import STRATEGIES, Task, augmented
from ddcore.draws import generator, permutation
from ddcore.methods.matching import Matched, MatchOptions, Shard, shared_out
from ddcore.options import option
from ddcore.synthesis import Part
from ddcore.training import Teacher


@dataclass(frozen=True)
class DC(MatchOptions):
    """Gradient matching: class by class, the loss's gradients on synthetic and on real members are drawn together.

    A network begins afresh every --outer steps; between steps it is trained on the synthetic set for --inner steps.

    Source: Zhao, Mopuri & Bilen 2021, algorithm 1 and eq. 9, the distance layer by layer. Deviates: the images move
    once a step for all classes, by Adam.
    """

    kinds: ClassVar[tuple[str, ...]] = ("images", "text")
    needs_teacher: ClassVar[bool] = False

    image_rate: float = option(0.005, "learning rate of the images, in standard deviations of a pixel", low=0)
    outer: int = option(10, "outer steps with one network", low=1)
    inner: int = option(10, "training steps of it between them", low=1)
    inner_batch: int = option(256, "synthetic members of each of these", low=1)
    inner_rate: float = option(0.01, "their learning rate", low=0)

    def quick(self) -> "DC":
        """Return these options at toy length."""
        return replace(self.shortened(), outer=min(self.outer, 2), inner=min(self.inner, 2))

    def start(self, task: Task, budget: int, teacher: Teacher | None, seed: int, device: torch.device) -> "DCRun":
        """Return real members to begin with.

        Raises:
            UsageError: a name is unknown, the budget cannot be had, or a teacher is missing.
        """
        return DCRun(self, task, budget, teacher, seed, device)


@dataclass(frozen=True)
class DSA(DC):
    """Gradient matching under Siamese augmentation: real and synthetic members are changed in the same way.

    Source: Zhao & Bilen 2021, DSA. Deviates: the network learns at ten times the rate, so that in a tenth of the steps
    it comes as far as theirs and gradients late in a training are matched, too; the images' Adam has one second moment
    for all pixels, so that like by their SGD pixels that hardly matter hardly move.
    """

    kinds: ClassVar[tuple[str, ...]] = ("images",)
    together: ClassVar[bool] = True

    real_batch: int = option(64, "real members of each class a step", low=1)
    image_rate: float = option(0.01, "learning rate of the images, in standard deviations of a pixel", low=0)
    augment: str = option(",".join(STRATEGIES), "Siamese changes to draw from, with commas between")
    outer: int = option(40, "outer steps with one network", low=1)
    inner: int = option(5, "training steps of it between them", low=1)
    inner_rate: float = option(0.1, "their learning rate", low=0)
    checks: int = option(2, "validations on the way, besides the first", low=1)
    check_steps: int = option(1000, "training steps of each of them", low=1)


class DCRun(Matched):
    """One run: the images and the network in training."""

    method: DC

    def __init__(
        self, method: DC, task: Task, budget: int, teacher: Teacher | None, seed: int, device: torch.device
    ) -> None:
        super().__init__(method, task, budget, teacher, seed, device)
        self.scratch = self.fresh("match", 0)
        self.network = _state(self.scratch)

    def shards(self, step: int) -> list[Shard]:
        """Return the classes in groups: the step has one network."""
        return shared_out(step, 1, len(self.task.classes), self.method.shards)

    def gradient(self, shard: Shard) -> Part:
        """Return the gradient of some classes' distance, and from the first shard the network after its training."""
        net = self.scratch
        net.load_state_dict(self.network)
        self.awake(net)
        parameters = [p for p in net.parameters() if p.requires_grad]
        x = self.x.detach().requires_grad_()
        total = x.new_zeros(())
        for pair in self.pairs(x, shard):
            wanted = torch.autograd.grad(F.cross_entropy(net(pair.real), pair.real_y), parameters)
            found = torch.autograd.grad(F.cross_entropy(net(pair.x), pair.y), parameters, create_graph=True)
            total = total + gradient_distance(found, wanted)
        (slope,) = torch.autograd.grad(shard.of * total, x)
        trained = self._trained(net, shard.step) if 0 in shard.classes else {}
        return Part({"x": slope}, {"loss": shard.of * float(total.detach())}, trained)

    def absorb(self, shard: Shard, update: dict[str, Tensor]) -> None:
        """Take over the network."""
        if update:
            self.network = {name: tensor.to(self.device) for name, tensor in update.items()}

    def state_dict(self) -> dict[str, Tensor]:
        """Return the images and the network."""
        return {"x": self.x, **{f"network.{name}": tensor for name, tensor in self.network.items()}}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put such a state in place."""
        self.x.copy_(state["x"])
        self.network = {name[8:]: t.to(self.device) for name, t in state.items() if name.startswith("network.")}

    def _trained(self, net: nn.Module, step: int) -> dict[str, Tensor]:
        """Return the network after its training on the present set, or a fresh one when its time is over."""
        if (step + 1) % self.method.outer == 0:
            return _state(self.fresh("match", step + 1))
        optimiser = torch.optim.SGD(net.parameters(), lr=self.method.inner_rate, momentum=0.5)
        examples = self.examples()
        size = min(self.method.inner_batch, len(examples))
        for k in range(self.method.inner):
            order = permutation(len(examples), self.seed, "inner", step, k)[:size].to(self.device)
            x = augmented(self.x.detach()[order], self.names, generator(self.seed, "inner change", step, k))
            loss: Any = F.cross_entropy(net(x), self.y[order])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return _state(net)


def _state(net: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}


def gradient_distance(found: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> Tensor:
    """Return how far two gradients are apart: one less the cosine, summed over outputs and layers, ``()``.

    Each weight counts output by output: ``(O, ...)`` as O rows. Biases and norms are left out.

    Source: Zhao, Mopuri & Bilen 2021, eq. 9 and appendix.
    """
    total = found[0].new_zeros(())
    for ours, theirs in zip(found, wanted, strict=True):
        if ours.ndim > 1:
            rows, right = ours.flatten(1), theirs.flatten(1)
            lengths = rows.norm(dim=1) * right.norm(dim=1)
            total = total + (1 - (rows * right).sum(1) / (lengths + 1e-6)).sum()
    return total
