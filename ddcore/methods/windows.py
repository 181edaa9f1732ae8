"""Learning a set through windows of long trainings: the options and the run that rat-bptt and boost-dd share."""

from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from ddcore.data import Task
from ddcore.draws import generator
from ddcore.errors import UsageError
from ddcore.methods.unrolled import Clip, JudgedOptions, Students, Variables, balanced_order, modes, packed_mode
from ddcore.options import option
from ddcore.sets import DistilledSet
from ddcore.synthesis import Group, Part
from ddcore.training import Teacher
from ddcore.unroll import MODES, Estimate, Schedule, State, Training, Unroll, choose, meta_gradient, train
from kernels import Rule

WINDOWS = ("random", "last", "full")
OPTIMISERS = ("adam", "sgd")
T = TypeVar("T", bound="Windowed")


@dataclass(frozen=True)
class Windowed(JudgedOptions):
    """The options of a method that differentiates windows of a long inner loop."""

    batches: int = option(1, "inner steps an epoch: the set is cut into so many batches", low=1)
    epochs: int = option(40, "times that the inner loop goes over the set", low=1)
    window: str = option("random", "which steps are differentiated", choices=WINDOWS)
    window_steps: int = option(20, "how many of them", low=1)
    inner: str = option("adam", "inner optimiser", choices=OPTIMISERS)
    rate: float = option(0.004, "its step size to begin with", low=1e-9)
    momentum: float = option(0.9, "its momentum; Adam's first beta", low=0, high=0.999)
    pool: int = option(8, "networks in training", low=1, high=1000)
    step_rate: float = option(0.005, "learning rate of the logarithm of the step size", low=0)

    def shortened(self: T) -> T:
        """Return these options at toy length."""
        return replace(
            self,
            steps=min(self.steps, 6),
            epochs=min(self.epochs, 6),
            window_steps=min(self.window_steps, 3),
            pool=2,
            real_batch=min(self.real_batch, 50),
            checks=1,
            check_networks=1,
        )

    def variables(self, task: Task, budget: int, teacher: Teacher | None, seed: int, device: torch.device) -> Variables:
        """Return the variables to begin with."""
        return Variables(task, budget, self.images, self.labels, self.temperature, self.rate, 1, teacher, seed, device)


@dataclass(frozen=True)
class Shard:
    """One network's part of a step."""

    step: int
    member: int


class WindowRun:
    """One run: the variables, the pool, and the running norm of the gradient."""

    def __init__(
        self,
        method: Windowed,
        task: Task,
        variables: Variables,
        seed: int,
        device: torch.device,
        ordered: bool = False,
    ) -> None:
        self.ordered = ordered
        self.method, self.task, self.variables, self.seed, self.device = method, task, variables, seed, device
        self.order = balanced_order(len(variables.y), method.batches, method.epochs, device)
        self.length = len(self.order)
        self.students = Students(task, method.net, seed, device, method.real_batch, method.cuda_graphs)
        self.rule = Rule(method.inner, method.momentum)
        self.mode = modes(method.unroll)[0]
        if method.window_steps > self.length:
            raise UsageError(
                f"--window-steps {method.window_steps} exceeds the unroll of {self.length} (--batches x --epochs)"
            )
        self.clip = Clip(device)
        self.members: list[State] = []
        if method.window == "random":
            self.members = [self._born(k, 0) for k in range(method.pool)]

    @property
    def groups(self) -> dict[str, Group]:
        """The images, the logarithm of the step size and, if they are learned, the labels."""
        return self.variables.groups(self.method.image_rate, self.method.label_rate, self.method.step_rate)

    def shards(self, step: int) -> list[Shard]:
        """Return the networks of a step, different ones of the pool."""
        count = min(self.method.networks, self.method.pool)
        drawn = torch.randperm(self.method.pool, generator=generator(self.seed, "pool", step))[:count]
        return [Shard(step, member) for member in drawn.tolist()]

    def gradient(self, shard: Shard) -> Part:
        """Return the gradients of a window's loss, the norm of that of the images, and where the network is now."""
        found = meta_gradient(self._unroll(shard), self.mode)
        norm = found.x.norm()
        share = self.clip.share(norm)
        gradients = self.variables.gradients(found, found.rates[None])
        update = {"norm": norm}
        if self.members:
            update |= self._packed(self._next(shard, found.end))
        values = {"loss": float(found.loss), "gradient_norm": float(norm), "correlation": correlation(found.x)}
        return Part({name: share * gradient for name, gradient in gradients.items()}, values, update)

    def absorb(self, shard: Shard, update: dict[str, Tensor]) -> None:
        """Take over the network and the running norm."""
        self.clip.absorb(update["norm"])
        if self.members:
            self.members[shard.member] = self._unpacked(update)

    def score(self, seed: int) -> float:
        """Return the validation accuracy, a fraction, of a fresh network after the whole unroll on the present set."""
        theta = self.students.weights(self.seed, "check", seed)
        return self.students.accuracy(self.students.after(self.variables, self._schedule(), theta))

    def decode(self) -> DistilledSet:
        """Return the present set with its steps."""
        made = self.variables.set(self.task, self.method, self.seed, self._schedule(), {})
        made.ordered = self.ordered
        return made

    def state_dict(self) -> dict[str, Tensor]:
        """Return the variables, the running norm and the pool."""
        return {**self.variables.tensors(), **self.following()}

    def following(self) -> dict[str, Tensor]:
        """Return the running norm and the pool: what follows the variables."""
        state = {"norm": self.clip.norm, "mode": packed_mode(self.mode)}
        for k, member in enumerate(self.members):
            state |= {f"pool.{k}.{name}": tensor for name, tensor in self._packed(member).items()}
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put such a state in place."""
        self.variables.load(state)
        self.follow(state)

    def follow(self, state: dict[str, Tensor]) -> None:
        """Put the running norm and the pool of such a state in place."""
        self.clip.norm = state["norm"].to(self.device)
        self.mode = MODES[int(state["mode"])]
        for k in range(len(self.members)):
            head = f"pool.{k}."
            self.members[k] = self._unpacked({n[len(head) :]: t for n, t in state.items() if n.startswith(head)})

    def forecast(self) -> Estimate:
        """Return what a meta-gradient costs in the better mode."""
        return choose(self._unroll(Shard(0, 0)), modes(self.method.unroll))

    def _unroll(self, shard: Shard) -> Unroll:
        """Return one network's inner loop and outer loss."""
        method, variables = self.method, self.variables
        if self.members:
            start = self.members[shard.member]
            order, window = self.order[start.taken : start.taken + method.window_steps], None
        else:
            start = State.fresh(self.students.weights(self.seed, "inner", shard.step, shard.member), self.rule)
            order, window = self.order, None if method.window == "full" else method.window_steps
        training = Training(self.students.step, order, self.rule)
        rate, outer = variables.log_rates.exp()[0], self.students.judge(shard.step, shard.member)
        return Unroll(training, start, variables.x, variables.targets, rate, outer, window)

    def _next(self, shard: Shard, end: State) -> State:
        """Return where a network goes on: at the end of its window, or anew if no other one fits."""
        if end.taken + self.method.window_steps <= self.length:
            return end
        return self._born(shard.member, shard.step + 1)

    def _born(self, member: int, step: int) -> State:
        """Return a fresh network, trained for fewer steps than a window has."""
        most = min(self.method.window_steps, self.length - self.method.window_steps + 1)
        taken = int(torch.randint(most, (), generator=generator(self.seed, "first window", member, step)))
        start = State.fresh(self.students.weights(self.seed, "inner", member, step), self.rule)
        training = Training(self.students.step, self.order[:taken], self.rule)
        variables = self.variables
        return train(training, start, variables.x, variables.targets, variables.log_rates.exp()[0])

    def _schedule(self) -> Schedule:
        rates = self.variables.log_rates.detach().exp().expand(self.length).cpu().clone()
        return Schedule(self.students.net, rates, self.order.cpu(), self.rule)

    def _packed(self, state: State) -> dict[str, Tensor]:
        return {"rows": torch.stack(state.rows), "taken": torch.tensor(state.taken)}

    def _unpacked(self, tensors: dict[str, Tensor]) -> State:
        return State(tuple(tensors["rows"].to(self.device).unbind()), int(tensors["taken"]))


def correlation(gradient: Tensor) -> float:
    """Return the mean cosine between the gradients of two members, for a gradient ``(N, ...)``.

    Source: Feng et al. 2024, who show that it falls as a set is distilled.
    """
    rows = torch.nn.functional.normalize(gradient.flatten(1), dim=1)
    n = len(rows)
    return float((rows.sum(0).square().sum() - n) / (n * (n - 1))) if n > 1 else 1.0
