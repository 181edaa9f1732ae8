"""boost-dd: one block of members after another, so that every prefix of the set is a good set of its own."""

import itertools
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor

from ddcore.errors import UsageError, require
from ddcore.methods.variables import Variables
from ddcore.methods.windows import Windowed, WindowRun
from ddcore.options import group, option
from ddcore.problem import Problem
from ddcore.runtime import Session, packed, under
from ddcore.sets import DistilledSet
from ddcore.synthesis import Part, Shard

# Of how much smaller a stage's set is than the last one's: the power that its steps grow with.
MORE_STEPS = 0.75


@dataclass(frozen=True)
class Growth:
    """How the set grows."""

    blocks: str = option("1,2,5,10", "members of each class after each stage, with commas between")
    earlier: float = option(0.5, "share of the learning rates at which earlier blocks move on", low=0, high=1)


@dataclass(frozen=True)
class BoostDD(Windowed):
    """A set that grows block by block; members learned earlier move on at a reduced rate.

    The first block is distilled as by rat-bptt. Then the next block joins, the whole is distilled further, and so
    forth. Each step of a later stage also rehearses one of the earlier prefixes, in turn. This is cheap because a step
    costs as much as it has members; without it, members that move on for the whole lose what they were by themselves.
    The last stage takes --steps, an earlier one more of them, because small sets need more steps and their steps are
    cheap. Members keep their order: the first n of them are a set of their own.

    Source: Feng et al. 2024, Boost-DD. Deviates: the rehearsals; stages of different lengths.
    """

    name: ClassVar[str] = "boost-dd"

    factor: int = field(default=1, init=False, repr=False)
    growth: Growth = group(Growth())

    def stages(self, problem: Problem) -> list[int]:
        """Return the number of members after each stage.

        Raises:
            UsageError: the blocks do not grow to the budget.
        """
        blocks, classes = self.growth.blocks, len(problem.task.classes)
        try:
            sizes = [int(each) * classes for each in blocks.split(",")]
        except ValueError as error:
            raise UsageError(f"--blocks {blocks} is not a list of numbers with commas between") from error
        require(
            sizes[0] >= 1 and not any(a >= b for a, b in itertools.pairwise(sizes)) and sizes[-1] == problem.budget,
            f"--blocks {blocks} must rise to the members of a class that --budget {problem.budget} has: "
            f"{problem.budget // classes}",
        )
        return sizes

    def of_stage(self, size: int, last: int) -> "BoostDD":
        """Return the same with the steps of a stage that ends with `size` of the `last` members."""
        return replace(self, steps=round(self.steps * (last / size) ** MORE_STEPS))

    def start(self, problem: Problem, session: Session) -> "BoostRun":
        """Return the first block."""
        return self.start_stage(0, None, problem, session)

    def start_stage(self, stage: int, earlier: DistilledSet | None, problem: Problem, session: Session) -> "BoostRun":
        """Return the set that a stage begins with: the members so far and a block of new ones."""
        sizes = self.stages(problem)
        learned = self.variables(problem, session)
        learned.grow(sizes[stage], earlier, self.growth.earlier)
        return BoostRun(self, problem, session, learned, sizes[:stage])


@dataclass(frozen=True)
class Rehearsal(Shard):
    """A step of an earlier prefix.

    Attributes:
        prefix: which one; its own shard has the same step and part.
    """

    prefix: int = 0


class BoostRun(WindowRun):
    """One stage: the whole learns, and the earlier prefixes take turns in learning for themselves."""

    def __init__(
        self, method: BoostDD, problem: Problem, session: Session, learned: Variables, sizes: list[int]
    ) -> None:
        super().__init__(method, problem, session, learned, ordered=True)
        self.earlier = [WindowRun(method, problem, session, learned.first(size)) for size in sizes]

    def use_chunk(self, chunk: int) -> None:
        """Take micro-batches of at most so many members; 0 for no limit."""
        for run in self.earlier:
            run.use_chunk(chunk)
        super().use_chunk(chunk)

    def shards(self, step: int) -> list[Shard]:
        """Return the networks of a step: of the whole, and of one of the earlier prefixes."""
        shards = super().shards(step)
        if self.earlier:
            turn = step % len(self.earlier)
            shards += [Rehearsal(step, shard.part, turn) for shard in self.earlier[turn].shards(step)]
        return shards

    def gradient(self, shard: Shard) -> Part:
        """Return the gradients of a window's loss; those of a prefix are zero for the members behind it."""
        if not isinstance(shard, Rehearsal):
            return super().gradient(shard)
        part = self.earlier[shard.prefix].gradient(Shard(shard.step, shard.part))
        whole = {name: torch.zeros_like(variable) for name, variable in self.learned.tensors().items()}
        for name, gradient in part.gradients.items():
            whole[name][: len(gradient)] = gradient
        return Part(whole, part.values, part.update)

    def absorb(self, shard: Shard, update: dict[str, Tensor]) -> None:
        """Take over the network and the running norm."""
        if isinstance(shard, Rehearsal):
            self.earlier[shard.prefix].absorb(Shard(shard.step, shard.part), update)
        else:
            super().absorb(shard, update)

    def score(self, seed: int) -> float:
        """Return the validation accuracy, a fraction, after whole unrolls, averaged over all prefixes."""
        scores = [run.score(seed) for run in self.earlier] + [super().score(seed)]
        return sum(scores) / len(scores)

    def memory(self) -> dict[str, Tensor]:
        """Return the running norms and pools of the whole and of all prefixes."""
        return {**super().memory(), **packed({f"earlier.{k}": run.memory() for k, run in enumerate(self.earlier)})}

    def remember(self, state: dict[str, Tensor]) -> None:
        """Put such a state in place."""
        super().remember(state)
        for k, run in enumerate(self.earlier):
            run.remember(under(f"earlier.{k}", state))
