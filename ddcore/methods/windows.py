"""Learning a set through windows of long trainings: the options and the run that rat-bptt and boost-dd share."""

from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from ddcore.draws import generator
from ddcore.errors import require
from ddcore.kernels import Rule
from ddcore.methods.unrolled import InnerLoop, Students, Unrolled, UnrolledRun
from ddcore.methods.variables import Rates, Variables
from ddcore.options import group, option
from ddcore.problem import Problem
from ddcore.runtime import JSONObject, Session, packed, under
from ddcore.sets import DistilledSet
from ddcore.synthesis import Part, Shard
from ddcore.unroll import Estimate, Schedule, State, Training, Unroll, choose, meta_gradient, train

WINDOWS = ("random", "last", "full")
T = TypeVar("T", bound="Windowed")


@dataclass(frozen=True)
class Window:
    """Which steps of the inner loop are differentiated."""

    kind: str = option("random", "which steps are differentiated", choices=WINDOWS, flags="window")
    steps: int = option(20, "how many of them", low=1, flags="window-steps")
    pool: int = option(8, "networks in training", low=1, high=1000)


@dataclass(frozen=True)
class Windowed(Unrolled):
    """The options of a method that differentiates windows of a long inner loop."""

    real_batch: int = option(500, "real members that judge a network", low=1)
    rates: Rates = group(Rates(steps=0.005))
    loop: InnerLoop = group(InnerLoop())
    window: Window = group(Window())

    def quick(self: T) -> T:
        """Return these options at toy length."""
        return replace(
            self,
            steps=min(self.steps, 6),
            loop=replace(self.loop, epochs=min(self.loop.epochs, 6)),
            window=replace(self.window, steps=min(self.window.steps, 3), pool=2),
            real_batch=min(self.real_batch, 50),
            validation=self.validation.quick(),
        )

    def variables(self, problem: Problem, session: Session) -> Variables:
        """Return the variables to begin with."""
        return Variables(problem, session, self.init, self.labels, torch.full((1,), self.loop.rate))


class WindowRun(UnrolledRun):
    """One run: the variables, the pool, and the running norm of the gradient."""

    method: Windowed

    def __init__(
        self, method: Windowed, problem: Problem, session: Session, learned: Variables, ordered: bool = False
    ) -> None:
        super().__init__(method, replace(problem, budget=len(learned.y)), session, learned)
        self.ordered = ordered
        self.order = method.loop.order(self.problem)
        self.length = len(self.order)
        self.students = Students(problem, method.net, method.real_batch, method.engine.cuda_graphs)
        self.rule = Rule(method.loop.optimiser, method.loop.momentum)
        require(
            method.window.steps <= self.length,
            f"--window-steps {method.window.steps} exceeds the unroll of {self.length} (--batches x --epochs)",
        )
        self.members: list[State] = []
        if method.window.kind == "random":
            self.members = [self._born(k, 0) for k in range(method.window.pool)]

    def shards(self, step: int) -> list[Shard]:
        """Return the networks of a step, different ones of the pool."""
        pool = self.method.window.pool
        drawn = torch.randperm(pool, generator=generator(self.problem.seed, "pool", step))
        return [Shard(step, member) for member in drawn[: min(self.method.networks, pool)].tolist()]

    def gradient(self, shard: Shard) -> Part:
        """Return the gradients of a window's loss, the norm of that of the images, and where the network is now."""
        meta = meta_gradient(self._unroll(shard), self.mode)
        gradients, norm = self.clipped(meta, meta.rates[None])
        update = {"norm": norm}
        if self.members:
            update |= _packed(self._next(shard, meta.end))
        values = {"loss": float(meta.loss), "gradient_norm": float(norm), "correlation": correlation(meta.x)}
        return Part(gradients, values, update)

    def absorb(self, shard: Shard, update: dict[str, Tensor]) -> None:
        """Take over the network and the running norm."""
        super().absorb(shard, update)
        if self.members:
            self.members[shard.part] = self._unpacked(update)

    def use_chunk(self, chunk: int) -> None:
        """Take micro-batches of at most so many members; 0 for no limit."""
        super().use_chunk(chunk)
        if chunk:
            self.students.limit(chunk)

    def inner_loop(self) -> tuple[str, int, int]:
        """Return the network of the inner loop, and the members of all its steps and of those in a window."""
        window, whole = self.method.window, self.order.numel()
        differentiated = whole if window.kind == "full" else window.steps * self.order.shape[1]
        return self.students.net, whole, differentiated

    def score(self, seed: int) -> float:
        """Return the validation accuracy, a fraction, of a fresh network after the whole unroll on the present set."""
        theta = self.students.weights(self.problem.seed, "check", seed)
        return self.students.accuracy(self.students.after(self.learned, self._schedule(), theta))

    def decode(self, notes: JSONObject | None = None) -> DistilledSet:
        """Return the present set with its steps."""
        return replace(self.unrolled_set(notes or {}), schedule=self._schedule(), ordered=self.ordered)

    def memory(self) -> dict[str, Tensor]:
        """Return the running norm, the engine's mode and the pool."""
        return {**super().memory(), **packed({f"pool.{k}": _packed(each) for k, each in enumerate(self.members)})}

    def remember(self, state: dict[str, Tensor]) -> None:
        """Put such a state in place."""
        super().remember(state)
        self.members = [self._unpacked(under(f"pool.{k}", state)) for k in range(len(self.members))]

    def forecast(self) -> Estimate:
        """Return what a meta-gradient costs in the better mode."""
        return choose(self._unroll(Shard(0)), self.method.engine.modes)

    def _unroll(self, shard: Shard) -> Unroll:
        """Return what one network's part of a step differentiates."""
        method, learned = self.method, self.learned
        if self.members:
            start = self.members[shard.part]
            order, window = self.order[start.taken : start.taken + method.window.steps], None
        else:
            start = State.fresh(self.students.weights(self.problem.seed, "inner", shard.step, shard.part), self.rule)
            order, window = self.order, None if method.window.kind == "full" else method.window.steps
        training = Training(self.students.step, order, self.rule)
        rate, outer = learned.log_rates.exp()[0], self.students.judge(shard.step, shard.part)
        return Unroll(training, start, learned.x, learned.targets, rate, outer, window)

    def _next(self, shard: Shard, end: State) -> State:
        """Return where a network goes on: at the end of its window, or from fresh weights if no other one fits."""
        if end.taken + self.method.window.steps <= self.length:
            return end
        return self._born(shard.part, shard.step + 1)

    def _born(self, member: int, step: int) -> State:
        """Return a fresh network, trained for fewer steps than a window has."""
        window, seed = self.method.window.steps, self.problem.seed
        most = min(window, self.length - window + 1)
        taken = int(torch.randint(most, (), generator=generator(seed, "first window", member, step)))
        start = State.fresh(self.students.weights(seed, "inner", member, step), self.rule)
        training = Training(self.students.step, self.order[:taken], self.rule)
        learned = self.learned
        return train(training, start, learned.x, learned.targets, learned.log_rates.exp()[0])

    def _schedule(self) -> Schedule:
        rates = self.learned.log_rates.detach().exp().expand(self.length).cpu().clone()
        return Schedule(self.students.net, rates, self.order.cpu(), self.rule)

    def _unpacked(self, tensors: dict[str, Tensor]) -> State:
        return State.restored(tensors["rows"].to(self.problem.device), int(tensors["taken"]))


def _packed(state: State) -> dict[str, Tensor]:
    return {"rows": torch.stack(state.rows), "taken": torch.tensor(state.taken)}


def correlation(gradient: Tensor) -> float:
    """Return the mean cosine between the gradients of two members, for a gradient ``(N, ...)``.

    Source: Feng et al. 2024, who show that it falls as a set is distilled.
    """
    rows = torch.nn.functional.normalize(gradient.flatten(1), dim=1)
    n = len(rows)
    return float((rows.sum(0).square().sum() - n) / (n * (n - 1))) if n > 1 else 1.0
