"""boost-dd: one block of members after another, so that every prefix of the set is a good set of its own."""

import itertools
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ddcore.data import Task
from ddcore.errors import UsageError
from ddcore.methods.unrolled import Variables
from ddcore.methods.windows import Shard, Windowed, WindowRun
from ddcore.options import option
from ddcore.sets import DistilledSet
from ddcore.synthesis import Part
from ddcore.training import Teacher

# Of how much smaller a stage's set is than the last one's: the power that its steps grow with.
MORE_STEPS = 0.75


@dataclass(frozen=True)
class BoostDD(Windowed):
    """A set that grows block by block; members learned earlier move on at a reduced rate.

    The first block is distilled as by rat-bptt. Then the next block joins, and the whole is distilled on, and so
    forth. Each step of a later stage also rehearses one of the earlier prefixes, in turn, for a step costs as much as
    it has members: without that, members that move on for the whole lose what they were by themselves. The last
    stage takes --steps, an earlier one more of them, for small sets need more and theirs are cheap. Members keep their
    order: the first n of them are a set of their own.

    Source: Feng et al. 2024, Boost-DD. Deviates: the rehearsals; stages of different lengths.
    """

    kinds: ClassVar[tuple[str, ...]] = ("images",)
    needs_teacher: ClassVar[bool] = False

    blocks: str = option("1,2,5,10", "members of each class after each stage, with commas between")
    earlier: float = option(0.5, "share of the learning rates at which earlier blocks move on", low=0, high=1)

    def quick(self) -> "BoostDD":
        """Return these options at toy length."""
        return self.shortened()

    def stages(self, task: Task, budget: int) -> list[int]:
        """Return the number of members after each stage.

        Raises:
            UsageError: the blocks do not grow to the budget.
        """
        try:
            sizes = [int(each) * len(task.classes) for each in self.blocks.split(",")]
        except ValueError as error:
            raise UsageError(f"--blocks {self.blocks} is not a list of numbers with commas between") from error
        if sizes[0] < 1 or any(a >= b for a, b in itertools.pairwise(sizes)) or sizes[-1] != budget:
            raise UsageError(
                f"--blocks {self.blocks} must rise to the members of a class that --budget {budget} has: "
                f"{budget // len(task.classes)}"
            )
        return sizes

    def of_stage(self, size: int, last: int) -> "BoostDD":
        """Return the same with the steps of a stage that ends with `size` of the `last` members."""
        return replace(self, steps=round(self.steps * (last / size) ** MORE_STEPS))

    def start_stage(
        self,
        stage: int,
        earlier: DistilledSet | None,
        task: Task,
        budget: int,
        teacher: Teacher | None,
        seed: int,
        device: torch.device,
    ) -> WindowRun:
        """Return the set that a stage begins with: the members so far and a block of new ones."""
        sizes = self.stages(task, budget)
        variables = self.variables(task, budget, teacher, seed, device)
        variables.grow(sizes[stage], earlier, self.earlier)
        return BoostRun(self, task, variables, sizes[:stage], seed, device)


@dataclass(frozen=True)
class Rehearsal:
    """A step of an earlier prefix."""

    prefix: int
    shard: Shard


class BoostRun(WindowRun):
    """One stage: the whole learns, and the earlier prefixes take turns in learning for themselves."""

    def __init__(
        self,
        method: BoostDD,
        task: Task,
        variables: Variables,
        sizes: list[int],
        seed: int,
        device: torch.device,
    ) -> None:
        super().__init__(method, task, variables, seed, device, ordered=True)
        self.earlier = [WindowRun(method, task, variables.first(size), seed, device) for size in sizes]

    def shards(self, step: int) -> list[Any]:
        """Return the networks of a step: of the whole, and of one of the earlier prefixes."""
        shards: list[Any] = list(super().shards(step))
        if self.earlier:
            turn = step % len(self.earlier)
            shards += [Rehearsal(turn, shard) for shard in self.earlier[turn].shards(step)]
        return shards

    def gradient(self, shard: Any) -> Part:
        """Return the gradients of a window's loss; those of a prefix are zero for the members behind it."""
        if not isinstance(shard, Rehearsal):
            return super().gradient(shard)
        part = self.earlier[shard.prefix].gradient(shard.shard)
        whole = {name: torch.zeros_like(variable) for name, variable in self.variables.tensors().items()}
        for name, gradient in part.gradients.items():
            whole[name][: len(gradient)] = gradient
        return Part(whole, part.values, part.update)

    def absorb(self, shard: Any, update: dict[str, Tensor]) -> None:
        """Take over the network and the running norm."""
        if isinstance(shard, Rehearsal):
            self.earlier[shard.prefix].absorb(shard.shard, update)
        else:
            super().absorb(shard, update)

    def score(self, seed: int) -> float:
        """Return the validation accuracy, a fraction, after whole unrolls, averaged over all prefixes."""
        scores = [run.score(seed) for run in self.earlier] + [super().score(seed)]
        return sum(scores) / len(scores)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the variables, and the running norms and pools of all prefixes."""
        state = super().state_dict()
        for k, run in enumerate(self.earlier):
            state |= {f"earlier.{k}.{name}": tensor for name, tensor in run.following().items()}
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put such a state in place."""
        super().load_state_dict(state)
        for k, run in enumerate(self.earlier):
            head = f"earlier.{k}."
            run.follow({n[len(head) :]: t for n, t in state.items() if n.startswith(head)})
