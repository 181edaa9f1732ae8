"""Real members of some classes of a step, and the synthetic members that they are matched with."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ddcore.data import Changes, drawn, near
from ddcore.draws import generator, permutation
from ddcore.problem import Problem
from ddcore.runtime import Session, sent


@dataclass(frozen=True)
class Pair:
    """Real and synthetic members of a class, changed in the same way.

    Attributes:
        real, x: ``(B, C, H, W)`` and ``(N, C, H, W)`` float32; x carries the graph to the variables. For texts ids
            ``(B, L)`` int64 and word vectors ``(N, P, D)`` float32.
        real_y, y: ``(B,)`` and ``(N,)`` int64.
    """

    real: Tensor
    real_y: Tensor
    x: Tensor
    y: Tensor


@dataclass(frozen=True)
class Members:
    """Which of the K classes of a draw its members are of; they lie class after class.

    Attributes:
        of: ``(N,)`` int64, the place of each member's class in the draw.
        within: the same, counted in the class's lot.
        lots: members of each class, lot by lot.
    """

    of: Tensor
    within: Tensor
    lots: tuple[tuple[int, ...], ...]

    def part(self, begin: int, end: int) -> "Members":
        """Return the members from one place to another, as one lot of the draw's classes."""
        of = self.of[begin:end]
        counts = torch.bincount(of, minlength=len(self.counts)).tolist() if self.of.device.type == "cpu" else [len(of)]
        return Members(of, of, (tuple(counts),))

    @property
    def counts(self) -> list[int]:
        """Members of each class."""
        return list(itertools.chain(*self.lots))

    @property
    def sizes(self) -> list[int]:
        """Members of each lot."""
        return list(map(sum, self.lots))


@dataclass(frozen=True)
class Draw:
    """Real members of some classes, and where the synthetic ones are. Tensors are on the device but for `places`.

    Attributes:
        read: returns the real members from one place to another, unchanged: ``(B, C, H, W)`` float32; for texts ids
            ``(B, L)`` int64.
        rows, places: ``(N,)`` int64, the places of the synthetic members in the set, there and on the CPU.
        of_real, of_own: their classes.
        changes: of each class; None for none.
    """

    read: Callable[[int, int], Tensor]
    rows: Tensor
    places: Tensor
    of_real: Members
    of_own: Members
    changes: Changes | None

    @property
    def lots(self) -> tuple[Tensor, ...]:
        """`rows` lot by lot."""
        return self.rows.split(self.of_own.sizes)

    def real(self, size: int = 0) -> Iterator[Tensor]:
        """Give the real members, changed, some at a time: all at once for 0."""
        count = len(self.of_real.of)
        if not size or size >= count:
            yield _changed(self.read(0, count), self.of_real, self.changes)
            return
        for begin in range(0, count, size):
            end = min(begin + size, count)
            yield _changed(self.read(begin, end), self.of_real.part(begin, end), self.changes)

    def own(self, x: Tensor) -> Tensor:
        """Return the synthetic members of `rows` ``(N, ...)`` changed as the real ones were."""
        return _changed(x, self.of_own, self.changes)


class RealBatches:
    """Batches of real members outside the validation split, class by class, beside the synthetic members.

    Args:
        problem: what is asked for.
        size: real members of each class; of a class with fewer, all of them.
        names: of the Siamese changes to draw from.
    """

    def __init__(self, problem: Problem, size: int, names: tuple[str, ...]) -> None:
        self.problem, self.size, self.names = problem, size, names
        task = problem.task
        self.x = near(task.train.x, problem.device)
        y = task.train.y[task.fit]
        self.by_class = list(task.fit[y.argsort(stable=True)].split(y.bincount(minlength=len(task.classes)).tolist()))
        self.last: tuple[Tensor, list[Tensor]] | None = None

    def classes(self, step: int, most: int) -> list[int]:
        """Return the classes of a step, at most so many: ascending, the same on every process."""
        count = len(self.by_class)
        if count <= most:
            return list(range(count))
        drawn_classes: list[int] = permutation(count, self.problem.seed, "classes", step)[:most].sort().values.tolist()
        return drawn_classes

    def count(self, classes: Sequence[int]) -> int:
        """Return the members of a batch of these classes."""
        return sum(min(self.size, len(self.by_class[k])) for k in classes)

    def tell_few(self, session: Session) -> None:
        """Say that classes have fewer members than a real batch, if some do."""
        counts = list(map(len, self.by_class))
        few = [count for count in counts if count < self.size]
        if few:
            session.tell(
                f"note: {len(few)} of {len(counts)} classes have fewer members than --real-batch {self.size}, the "
                f"smallest one {min(few)}: all members of these are in each batch"
            )

    def draw(self, y: Tensor, lots: Sequence[Sequence[int]], *key: int) -> Draw:
        """Return real members of the classes of some lots, each class with its own change.

        Args:
            y: ``(N,)`` int64, the classes of the synthetic members.
            lots: classes that a GPU computes together: its sums depend on what is in a batch.
            *key: of the draws.
        """
        seed, device, task = self.problem.seed, self.problem.device, self.problem.task
        classes = [k for lot in lots for k in lot]
        there = self._rows(y)
        places = torch.cat([there[k] for k in classes])
        own_lots = tuple(tuple(len(there[k]) for k in lot) for lot in lots)
        real_lots = tuple(tuple(min(self.size, len(self.by_class[k])) for k in lot) for lot in lots)
        columns = torch.arange(len(classes)), torch.cat([torch.arange(len(lot)) for lot in lots])
        parts = [torch.cat([self._real(k, *key) for k in classes]), places]
        for counts in (real_lots, own_lots):
            parts += [column.repeat_interleave(torch.tensor([*itertools.chain(*counts)])) for column in columns]
        chosen = parts[0]
        real, rows, *of = sent(torch.cat(parts), device).split([len(part) for part in parts])
        of_real, of_own = Members(of[0], of[1], real_lots), Members(of[2], of[3], own_lots)
        changes = None
        if self.names:
            keys = [generator(seed, "siamese", k, *key) for k in classes]
            changes = drawn(self.names, task.shape, keys).to(device)
        of_x = real if self.x.device == real.device else chosen

        def read(begin: int, end: int) -> Tensor:
            return task.inputs(self.x[of_x[begin:end]].to(device))

        return Draw(read, rows, places, of_real, of_own, changes)

    def pairs(self, x: Tensor, y: Tensor, classes: Sequence[int], *key: int) -> list[Pair]:
        """Return a batch of some classes and the members of x that y puts there, each class with its own change."""
        draw = self.draw(y, [classes], *key)
        return self.paired(draw, draw.own(x[draw.rows]), classes)

    def paired(self, draw: Draw, own: Tensor, classes: Sequence[int]) -> list[Pair]:
        """Return the members of a draw of these classes, class by class; own: what `Draw.own` returned."""
        numbers = sent(torch.tensor(list(classes)), self.problem.device)
        parts = [
            each.split(members.counts)
            for members, whole in ((draw.of_real, next(draw.real())), (draw.of_own, own))
            for each in (whole, numbers[members.of])
        ]
        return [Pair(*each) for each in zip(*parts, strict=True)]

    def _real(self, k: int, *key: int) -> Tensor:
        """Return the places of real members of a class, drawn with repeats: ``(size,)`` int64; of few, all once."""
        if len(self.by_class[k]) < self.size:
            return self.by_class[k]
        draws = generator(self.problem.seed, "real", k, *key)
        return self.by_class[k][torch.randint(len(self.by_class[k]), (self.size,), generator=draws)]

    def _rows(self, y: Tensor) -> list[Tensor]:
        """Return the members of each class in order, on the CPU; those of the last y are kept."""
        if self.last is None or self.last[0] is not y:
            there = y.cpu()
            self.last = y, [(there == k).nonzero().flatten() for k in range(len(self.by_class))]
        return self.last[1]


def _changed(x: Tensor, members: Members, changes: Changes | None) -> Tensor:
    if changes is None:
        return x
    if x.device.type == "cpu":
        kept = [k for k, count in enumerate(members.counts) if count]
        if len(kept) < len(changes.kinds):
            kinds, table = tuple(changes.kinds[k] for k in kept), changes.table[kept]
            return replace(changes, kinds=kinds, table=table).in_turn(x, [members.counts[k] for k in kept])
        return changes.in_turn(x, members.counts)
    return changes.together(x, members.of, members.sizes)
