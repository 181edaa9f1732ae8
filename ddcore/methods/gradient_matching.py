"""What dc and dsa share: the run that draws the gradients on synthetic and on real members together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddcore.data import augmented, published_changes
from ddcore.draws import generator, permutation
from ddcore.methods.features import of_batches
from ddcore.methods.matching import SECOND, ClassShard, Matching, MatchingRun, shared_out
from ddcore.methods.real_batches import Pair
from ddcore.options import group, later, option
from ddcore.problem import Problem
from ddcore.runtime import Session, copied, copy_all, packed, sent, under
from ddcore.synthesis import Part, Shard

Gradient = tuple[Tensor, ...]


@dataclass(frozen=True)
class Training:
    """How the network is trained on the synthetic set between outer steps."""

    outer: int = option(10, "outer steps with one network", low=1)
    steps: int = option(10, "training steps of it between them", low=1, flags="inner")
    batch: int = option(256, "synthetic members of each of these", low=1, flags="inner-batch")
    rate: float = option(0.01, "their learning rate", low=0, flags="inner-rate")
    momentum: float = later(option(0.5, "their momentum", low=0, high=0.9999, flags="inner-momentum"))
    changes: str = later(
        option(
            "alike",
            "Siamese changes in them: the same for all members of a batch, or of one kind with a strength for each",
            choices=("alike", "each"),
            flags="inner-changes",
        )
    )


@dataclass(frozen=True)
class GradientMatching(Matching):
    """Options of gradient matching."""

    training: Training = group(Training())

    def quick(self) -> "GradientMatching":
        """Return these options at toy length."""
        training = replace(self.training, outer=min(self.training.outer, 2), steps=min(self.training.steps, 2))
        return replace(super().quick(), training=training)

    def start(self, problem: Problem, session: Session) -> "GradientMatchingRun":
        """Return real members to begin with.

        Raises:
            UsageError: a name is unknown, or a teacher is missing.
        """
        return GradientMatchingRun(self, problem, session)


class GradientMatchingRun(MatchingRun):
    """One run: the images and the network in training."""

    method: GradientMatching
    costs: ClassVar[int] = 3

    def __init__(self, method: GradientMatching, problem: Problem, session: Session) -> None:
        super().__init__(method, problem, session)
        self.scratch = self.fresh("match", 0)
        self.network = copied(self.scratch.state_dict())

    def widest(self) -> tuple[int, float]:
        """Return the members of a class, real or synthetic, and the bytes for each of them."""
        each = max(self.method.real_batch, int(torch.bincount(self.y).max()))
        return each if self.embedding is None else 0, SECOND * self.kept(self.net_name)

    def shards(self, step: int) -> Sequence[ClassShard]:
        """Return the classes in groups: the step has one network."""
        return shared_out(step, 1, self.step_classes(step), self.method.shards)

    def gradient(self, shard: Shard) -> Part:
        """Return the gradient of some classes' distance, and from the first shard the network after its training."""
        return self.gradients([shard])[0]

    def gradients(self, shards: Sequence[Shard]) -> list[Part]:
        """Return what shards give, with one wait for the device, for all their losses."""
        mine = [shard for shard in shards if isinstance(shard, ClassShard)]
        found = [self._found(shard) for shard in mine]
        losses = torch.stack([loss for _, loss, _ in found]).tolist() if found else []
        return [
            Part({"x": slope}, {"loss": shard.of * loss}, trained)
            for shard, loss, (slope, _, trained) in zip(mine, losses, found, strict=True)
        ]

    def _found(self, shard: ClassShard) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return a shard's gradient, its distance and from the first one the network after its training."""
        net = self.scratch
        copy_all(net.state_dict(), self.network)
        self.awake(net)
        slope, total = torch.zeros_like(self.x), self.x.new_zeros(())
        # With chunks, class after class, so that one class's members and graphs are held at a time.
        for classes in [[k] for k in shard.classes] if self.chunk else [shard.classes]:
            draw = self.real.draw(self.y, [classes], shard.step, shard.part)
            leaf = self.x[draw.rows].detach().requires_grad_()
            pairs = self.real.paired(draw, draw.own(leaf), classes)
            apart, part = self._apart(net, pairs, leaf, shard.of)
            slope[draw.rows] += part
            total = total + apart
        trained = self._trained(net, shard.step) if shard.group == 0 else {}
        return slope, total, trained

    def _apart(self, net: nn.Module, pairs: Sequence[Pair], leaf: Tensor, of: int) -> tuple[Tensor, Tensor]:
        """Return the summed distance of pairs, and the gradient of `of` times it in the leaf of their members."""
        parameters = [p for p in net.parameters() if p.requires_grad]
        chunk = 0 if of_batches(net) else self.chunk
        total = leaf.new_zeros(())
        for pair in pairs:
            real = loss_gradient(net, pair.real, pair.real_y, parameters, chunk)
            if chunk and len(pair.x) > chunk:
                distance, up = slope_in_parts(net, pair, real, parameters, chunk)
                (part,) = torch.autograd.grad(pair.x, leaf, of * up)
                return distance, part
            own = torch.autograd.grad(F.cross_entropy(net(pair.x), pair.y), parameters, create_graph=True)
            total = total + gradient_distance(own, real)
        (part,) = torch.autograd.grad(of * total, leaf)
        return total.detach(), part

    def absorb(self, shard: Shard, update: dict[str, Tensor]) -> None:
        """Take over the network."""
        if update:
            self.network = {name: tensor.to(self.problem.device) for name, tensor in update.items()}

    def memory(self) -> dict[str, Tensor]:
        """Return the network."""
        return packed({"network": self.network})

    def remember(self, state: dict[str, Tensor]) -> None:
        """Put such a state in place."""
        self.network = {name: t.to(self.problem.device) for name, t in under("network", state).items()}

    def _trained(self, net: nn.Module, step: int) -> dict[str, Tensor]:
        """Return the network after its training on the present set, or a fresh one when its time is over."""
        training, seed = self.method.training, self.problem.seed
        if (step + 1) % training.outer == 0:
            return copied(self.fresh("match", step + 1).state_dict())
        optimiser = torch.optim.SGD(net.parameters(), lr=training.rate, momentum=training.momentum)
        size = min(training.batch, len(self.y))
        for k in range(training.steps):
            order = sent(permutation(len(self.y), seed, "inner", step, k)[:size], self.problem.device)
            x = self._changed(self.x.detach()[order], generator(seed, "inner change", step, k))
            loss = F.cross_entropy(net(x), self.y[order])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        return copied(net.state_dict())

    def _changed(self, x: Tensor, draws: torch.Generator) -> Tensor:
        """Return synthetic members under the changes of a training step."""
        if self.method.training.changes == "alike":
            return augmented(x, self.names, draws)
        return published_changes(x, "dsa", self.names, draws)


LOOPS = {1: (1, 1), 10: (10, 50), 20: (20, 25), 30: (30, 20), 40: (40, 15), 50: (50, 10)}
"""Outer steps with one network and training epochs between them by members per class, in the papers' code."""


def as_published(ipc: int) -> dict[str, Any]:
    """Return what the papers' code of DC and DSA has in common, as option values.

    Up to `Training.batch` members an epoch of the network's training is one step. Numbers of members per class that
    the code does not list take the loops of the next smaller one.

    Source: VICO-UoE/DatasetCondensation, ``main.py`` and ``utils.py``, get_loops.
    """
    outer, inner = LOOPS[max(size for size in LOOPS if size <= max(1, ipc))]
    return {
        "steps": 1000 * outer,
        "net": "convnet-128",
        "real_batch": 256,
        "image_optimiser": "sgd",
        "image_rate": 0.1,
        "outer": outer,
        "inner": inner,
        "inner_batch": 256,
        "inner_rate": 0.01,
        "inner_momentum": 0.0,
        "validation_networks": 0,
    }


def gradient_distance(own: tuple[Tensor, ...], real: tuple[Tensor, ...]) -> Tensor:
    """Return how far two gradients are apart: one less the cosine, summed over outputs and layers, ``()``.

    Each weight counts output by output: ``(O, ...)`` as O rows. Biases and norms are left out.

    Source: Zhao, Mopuri & Bilen 2021, eq. 9 and appendix.
    """
    total = own[0].new_zeros(())
    for ours, theirs in zip(own, real, strict=True):
        if ours.ndim > 1:
            rows, right = ours.flatten(1), theirs.flatten(1)
            lengths = rows.norm(dim=1) * right.norm(dim=1)
            total = total + (1 - (rows * right).sum(1) / (lengths + 1e-6)).sum()
    return total


def loss_gradient(net: nn.Module, x: Tensor, y: Tensor, parameters: list[nn.Parameter], chunk: int) -> Gradient:
    """Return the gradient of the mean loss of members in the parameters, without a graph.

    Args:
        net: gives ``(N, K)`` logits.
        x, y: the members, ``y`` ``(N,)`` int64.
        parameters: of the network.
        chunk: members at a time, whose parts of the gradient are added in order; 0 for all at once.
    """
    if not chunk or len(x) <= chunk:
        return torch.autograd.grad(F.cross_entropy(net(x), y), parameters)
    total: Gradient = tuple(torch.zeros_like(p) for p in parameters)
    for part, labels in zip(x.split(chunk), y.split(chunk), strict=True):
        loss = F.cross_entropy(net(part), labels, reduction="sum") / len(x)
        total = tuple(map(torch.add, total, torch.autograd.grad(loss, parameters)))
    return total


def slope_in_parts(
    net: nn.Module, pair: Pair, real: Gradient, parameters: list[nn.Parameter], chunk: int
) -> tuple[Tensor, Tensor]:
    """Return how far the gradient of a pair's synthetic members is from `real`, and the slope of that in them.

    The gradient g is added up first, without a graph; with v, the slope of the distance in g, the slope in a member is
    that of ``<g, v>``, to which each member adds a part of its own.
    """
    x, n = pair.x.detach(), len(pair.x)
    own = [each.requires_grad_() for each in loss_gradient(net, x, pair.y, parameters, chunk)]
    apart = gradient_distance(tuple(own), real)
    ups = torch.autograd.grad(apart, own, materialize_grads=True)
    slopes = []
    for part, labels in zip(x.split(chunk), pair.y.split(chunk), strict=True):
        leaf = part.requires_grad_()
        loss = F.cross_entropy(net(leaf), labels, reduction="sum") / n
        mine = torch.autograd.grad(loss, parameters, create_graph=True)
        slopes.append(torch.autograd.grad(mine, leaf, ups)[0])
    return apart.detach(), torch.cat(slopes)
