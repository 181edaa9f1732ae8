"""Features of real and synthetic members in random networks, how far apart they are, and the shards' gradients."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from ddcore.data import Tokens
from ddcore.kernels import class_moments
from ddcore.methods.matching import GRAPH, ClassShard, MatchingRun
from ddcore.methods.real_batches import Draw, Members, RealBatches
from ddcore.runtime import sent
from ddcore.synthesis import Part, Shard

# Features are computed in pieces: so many members on a CPU, members of so many pixels together on a GPU.
PIECE, PIXELS = 32, 2**22
# Batches that a GPU computes the shards of a network in.
LOTS = 2


def embedded(net: Any, x: Tensor, chunk: int = 0) -> Tensor:
    """Return a network's features of members: ``(N, D)``.

    On a CPU a few members at a time, so that what lies between two layers stays in its caches; all at once where the
    network normalises over the batch.

    Args:
        net: with features.
        x: ``(N, ...)``, its inputs.
        chunk: at most so many members at a time. Where there are more, the graph of each part is made again on the way
            back, which gives the same bits; 0 for no limit.
    """
    return asked(net, net.features, x, chunk).flatten(1)


def asked(net: nn.Module, function: Callable[[Tensor], Tensor], x: Tensor, chunk: int = 0) -> Tensor:
    """Return what a function of a network answers for members ``(N, ...)``, in pieces, see `embedded`."""
    if of_batches(net):
        return function(x)
    piece = PIECE if x.device.type == "cpu" else max(PIECE, PIXELS // x[0].numel())
    again = 0 < chunk < len(x) and torch.is_grad_enabled()
    parts = [
        checkpoint(function, part, use_reentrant=False) if again else function(part)
        for part in x.split(min(piece, chunk or piece))
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def of_batches(net: nn.Module) -> bool:
    """Return whether a network normalises over the batch."""
    return any(isinstance(module, _BatchNorm) for module in net.modules())


@dataclass(frozen=True)
class Features:
    """Features of some classes' members, class after class.

    Attributes:
        rows: ``(N, D)`` float32.
        of: ``(N,)`` int64, the classes, from 0 to K - 1.
        counts: members of each class.
    """

    rows: Tensor
    of: Tensor
    counts: tuple[int, ...]


def distances(real: Features, own: Features, moments: int = 1) -> Tensor:
    """Return how far apart the features of each class are: ``(K,)``.

    The squared distance of the means; with two moments also the squared Frobenius distance of the covariances over the
    features' mean square, through Gram matrices: ``|X X'|² / n² - 2 |X Y'|² / nm + |Y Y'|² / m²`` for centred X
    ``(n, D)`` and Y ``(m, D)`` is that of their covariances, at the cost of n and m.

    Args:
        real, own: of the same classes; `own` carries the graph.
        moments: 1 or 2.
    """
    classes = len(own.counts)
    _, real_mean, real_square = class_moments(real.rows, real.of, classes)
    _, mean, _ = class_moments(own.rows, own.of, classes)
    apart = (real_mean - mean).square().sum(1)
    if moments == 1:
        return apart
    bent = []
    parts = zip(real.rows.split(list(real.counts)), own.rows.split(list(own.counts)), strict=True)
    for k, (theirs, ours) in enumerate(parts):
        a, b = theirs - real_mean[k], ours - mean[k]
        bent.append(
            (a @ a.T).square().sum() / len(a) ** 2
            - 2 * (a @ b.T).square().sum() / (len(a) * len(b))
            + (b @ b.T).square().sum() / len(b) ** 2
        )
    return apart + torch.stack(bent) / real_square.mean(1)


Distance = Callable[[Features, Features], Tensor]


@dataclass(frozen=True)
class Side:
    """How synthetic members come from the variables.

    Attributes:
        name: of the variable.
        variable: ``(N, ...)``, a row a member; moved in place.
        members: returns the synthetic members of a draw ``(R, ...)``, for which gradients are taken.
        pulled: returns the gradient in their rows of the variable, given that in the members.
    """

    name: str
    variable: Tensor
    members: Callable[[Draw], Tensor]
    pulled: Callable[[Draw, Tensor], Tensor]


class FeatureMatching:
    """The distances of a step's shards, and their gradients.

    A CPU computes one shard after the other. A GPU computes the shards of a network together, in `LOTS` batches of
    every `LOTS`-th shard. The batches are the same for one process and for `LOTS` processes, because the result of a
    convolution may depend on the size of its batch. Networks with buffers, networks that normalise over the batch and
    networks on texts compute one shard after the other on a GPU, too.

    Args:
        real: the real members.
        y: ``(N,)`` int64, the classes of the synthetic ones.
        network: returns the network of a step and a part, on the device, ready to be matched.
        distance: of the real and the synthetic features of the same classes: ``(K,)``.

    Attributes:
        chunk: members whose graph is held at once; 0 for all of a draw.
    """

    def __init__(
        self, real: RealBatches, y: Tensor, network: Callable[[int, int], nn.Module], distance: Distance = distances
    ) -> None:
        self.real, self.y, self.network, self.distance, self.chunk = real, y, network, distance, 0
        self.key = (-1, -1)
        self.net: nn.Module = nn.Identity()
        self.buffers: list[Tensor] = []

    def parts(self, shards: Sequence[ClassShard], side: Side) -> list[Part]:
        """Return the parts of shards of one step, with one wait for the device."""
        if not shards:
            return []
        slopes: dict[ClassShard, Tensor] = {}
        found: list[Tensor] = []
        order: list[ClassShard] = []
        for (step, part), group in itertools.groupby(shards, key=lambda shard: (shard.step, shard.part)):
            mine = list(group)
            net = self._net(step, part)
            for lots in drawn_together(mine, self._joined(net)):
                ordered = [shard for lot in lots for shard in lot]
                draw = self.real.draw(self.y, [[k for each in lot for k in each.classes] for lot in lots], step, part)
                leaf = side.members(draw).detach().requires_grad_()
                apart = self.losses(net, draw, draw.own(leaf))
                (slope,) = torch.autograd.grad(ordered[0].of * apart.sum(), leaf)
                slope = side.pulled(draw, slope)
                slopes |= zip(ordered, _by_shard(ordered, draw, side.variable, slope), strict=True)
                found.append(apart.detach())
                order += [shard for shard in ordered for _ in shard.classes]
        losses = dict.fromkeys(shards, 0.0)
        for shard, value in zip(order, torch.cat(found).tolist(), strict=True):
            losses[shard] += shard.of * value
        return [Part({side.name: slopes[shard]}, {"loss": losses[shard]}) for shard in shards]

    def losses(self, net: nn.Module, draw: Draw, x: Tensor) -> Tensor:
        """Return the losses of a draw's classes, their distances: ``(K,)``; x: the synthetic members, changed."""
        for buffer, first in zip(net.buffers(), self.buffers, strict=True):
            buffer.copy_(first)
        with torch.no_grad():
            if self.chunk and not of_batches(net):
                rows = torch.cat([embedded(net, part, self.chunk) for part in draw.real(self.chunk)])
                real = _lots(rows, draw.of_real)
            else:
                real = _by_lot(net, next(draw.real()), draw.of_real)
        own = _by_lot(net, x, draw.of_own, self.chunk)
        return torch.cat([self.distance(*each) for each in zip(real, own, strict=True)])

    def _net(self, step: int, part: int) -> nn.Module:
        """Return the network of a step and a part."""
        if self.key != (step, part):
            self.net, self.key = self.network(step, part).requires_grad_(False), (step, part)
            self.buffers = [buffer.clone() for buffer in self.net.buffers()]
        return self.net

    def _joined(self, net: nn.Module) -> bool:
        """Return whether shards are computed together: a network must not remember what it has been used for."""
        on_cpu = torch.device(self.real.problem.device).type == "cpu"
        return not (on_cpu or isinstance(self.real.x, Tokens) or of_batches(net) or self.buffers)


class FeatureRun(MatchingRun):
    """A run whose images are moved by how far their features are apart. A subclass gives `matching` and `shards`."""

    matching: FeatureMatching

    def use_chunk(self, chunk: int) -> None:
        """Compute steps with at most so many members in a network at once; 0 for no limit."""
        self.chunk = self.matching.chunk = chunk

    def widest(self) -> tuple[int, float]:
        """Return the synthetic members of a shard, whose graphs are held together, and the bytes for each."""
        return self.shard_members(), GRAPH * self.kept(self.net_name)

    def gradient(self, shard: Shard) -> Part:
        """Return the gradient of some classes' distance in one network."""
        return self.gradients([shard])[0]

    def gradients(self, shards: Sequence[Shard]) -> list[Part]:
        """Return the gradients of shards, computed together where the device gains by it."""
        mine = [shard for shard in shards if isinstance(shard, ClassShard)]
        side = Side("x", self.x, lambda draw: self.x[draw.rows], lambda draw, slope: slope)
        return self.matching.parts(mine, side)


def drawn_together(shards: Sequence[ClassShard], joined: bool) -> list[list[list[ClassShard]]]:
    """Return the draws that the shards of one network are shared out in, each a list of lots, each a list of shards."""
    if not joined:
        return [[[shard]] for shard in shards]
    lots = [[shard for shard in shards if shard.group % LOTS == k] for k in range(LOTS)]
    return [[lot for lot in lots if lot]]


def _by_shard(shards: Sequence[ClassShard], draw: Draw, variable: Tensor, slope: Tensor) -> tuple[Tensor, ...]:
    """Return a gradient of the whole variable for each shard: zero but for the rows of its classes."""
    if len(shards) == 1:
        slots = draw.rows
    else:
        counts = iter(draw.of_own.counts)
        members = torch.tensor([sum(next(counts) for _ in shard.classes) for shard in shards])
        first = torch.arange(len(shards)).repeat_interleave(members) * len(variable)
        slots = sent(draw.places + first, variable.device)
    whole = variable.new_zeros(len(shards) * len(variable), *variable.shape[1:])
    whole[slots] = slope
    return whole.split(len(variable))


def _by_lot(net: nn.Module, x: Tensor, members: Members, chunk: int = 0) -> list[Features]:
    """Return the features of members, computed lot by lot."""
    return _lots(torch.cat([embedded(net, part, chunk) for part in x.split(members.sizes)]), members)


def _lots(rows: Tensor, members: Members) -> list[Features]:
    """Return features ``(N, D)`` of members lot by lot."""
    parts = zip(rows.split(members.sizes), members.within.split(members.sizes), members.lots, strict=True)
    return [Features(*each) for each in parts]
