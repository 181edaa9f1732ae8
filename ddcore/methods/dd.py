"""dd: the original dataset distillation, with step sizes learned for every step."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ddcore.data import Task
from ddcore.draws import generator
from ddcore.errors import UsageError
from ddcore.methods.unrolled import IMAGES, Clip, JudgedOptions, Students, Variables, balanced_order, modes, packed_mode
from ddcore.options import option
from ddcore.sets import DistilledSet
from ddcore.synthesis import Group, Part
from ddcore.training import Teacher, load_weights
from ddcore.unroll import MODES, Estimate, RealLoss, Schedule, State, Training, Unroll, choose, meta_gradient
from kernels import Rule

OBJECTIVES = ("accuracy", "adapt", "poison")
INITS = ("random", "known")


@dataclass(frozen=True)
class DD(JudgedOptions):
    """Images whose few gradient steps, of learned sizes, teach a network; or turn a trained one.

    A network takes a step on each batch of synthetic images, epoch after epoch; the loss of the result on real
    members is differentiated through all steps. ``--objective adapt`` begins with networks trained on another data
    set; ``poison`` begins with networks trained on this one and makes them take one class for another, which shows
    what training on a set from a stranger can do.

    Source: Wang et al. 2018. Deviates: step sizes are learned as logarithms; labels may be learned, too.
    """

    kinds: ClassVar[tuple[str, ...]] = ("images",)
    needs_teacher: ClassVar[bool] = False

    images: str = option("noise", "what the images begin as", choices=IMAGES)
    init: str = option("random", "random weights, or known ones that travel with the set", choices=INITS)
    objective: str = option("accuracy", "what the steps are for", choices=OBJECTIVES)
    weights: str = option("", "adapt, poison: run folder of train_baseline.py whose networks are to be turned")
    from_class: int = option(0, "poison: the class to be mistaken", low=0)
    to_class: int = option(1, "poison: the class that it is to be mistaken for", low=0)
    share: float = option(0.5, "poison: of the class to be mistaken among the real members", low=0.01, high=0.99)
    batches: int = option(2, "inner steps an epoch: the set is cut into so many batches", low=1)
    epochs: int = option(10, "times that the inner loop goes over the set", low=1)
    rate: float = option(0.02, "step size to begin with", low=1e-9)
    momentum: float = option(0.9, "of the inner optimiser", low=0, high=0.999)
    step_rate: float = option(0.02, "learning rate of the logarithms of the step sizes", low=0)

    def quick(self) -> "DD":
        """Return these options at toy length."""
        return replace(self, steps=min(self.steps, 6), checks=1, check_networks=1, real_batch=min(self.real_batch, 50))

    def start(self, task: Task, budget: int, teacher: Teacher | None, seed: int, device: torch.device) -> "DDRun":
        """Return the set to begin with.

        Raises:
            UsageError: the budget cannot be cut into the batches, trained networks are missing, or a class is unknown.
        """
        return DDRun(self, task, budget, teacher, seed, device)


@dataclass(frozen=True)
class Shard:
    """One network's part of a step."""

    step: int
    network: int


class DDRun:
    """One run: the variables, and the networks that they are tried on."""

    def __init__(
        self, method: DD, task: Task, budget: int, teacher: Teacher | None, seed: int, device: torch.device
    ) -> None:
        self.method, self.task, self.seed, self.device = method, task, seed, device
        classes = len(task.classes)
        if method.objective == "poison" and max(method.from_class, method.to_class) >= classes:
            raise UsageError(f"--from-class and --to-class must be below {task.name}'s {classes} classes")
        self.order = balanced_order(budget, method.batches, method.epochs, device)
        self.students = Students(task, method.net, seed, device, method.real_batch, method.cuda_graphs)
        self.mode = modes(method.unroll)[0]
        self.variables = Variables(
            task,
            budget,
            method.images,
            method.labels,
            method.temperature,
            method.rate,
            len(self.order),
            teacher,
            seed,
            device,
        )
        if method.objective == "poison":
            self.variables.relabel(method.from_class, method.to_class)
        self.rule = Rule(momentum=method.momentum)
        self.clip = Clip(device)
        self.given: list[Tensor] = []
        if method.objective != "accuracy":
            if not method.weights:
                raise UsageError(
                    f"--objective {method.objective} needs --weights RUN_DIR with networks of train_baseline.py"
                )
            self.given = [each.to(device) for each in load_weights(Path(method.weights), self.students.net, task)]
            if len(self.given) < 2:
                raise UsageError(f"{method.weights} holds one network: at least two are needed, one to validate on")
        self.held_back = max(1, len(self.given) // 5)

    @property
    def groups(self) -> dict[str, Group]:
        """The images, the logarithms of the step sizes and, if they are learned, the labels."""
        return self.variables.groups(self.method.image_rate, self.method.label_rate, self.method.step_rate)

    def shards(self, step: int) -> list[Shard]:
        """Return the networks of a step."""
        return [Shard(step, network) for network in range(self.method.networks)]

    def gradient(self, shard: Shard) -> Part:
        """Return the gradients of the loss after all inner steps of one network."""
        found = meta_gradient(self._unroll(shard), self.mode)
        norm = found.x.norm()
        share = self.clip.share(norm)
        gradients = self.variables.gradients(found, found.rates)
        values = {"loss": float(found.loss), "gradient_norm": float(norm)}
        return Part({name: share * gradient for name, gradient in gradients.items()}, values, {"norm": norm})

    def forecast(self) -> Estimate:
        """Return what a meta-gradient costs in the better mode."""
        return choose(self._unroll(Shard(0, 0)), modes(self.method.unroll))

    def _unroll(self, shard: Shard) -> Unroll:
        """Return one network's inner loop and outer loss."""
        start = State.fresh(self._theta("inner", shard.step, shard.network), self.rule)
        training = Training(self.students.step, self.order, self.rule)
        x, y, rates = self.variables.x, self.variables.targets, self.variables.log_rates.exp()
        return Unroll(training, start, x, y, rates, self._outer(shard))

    def absorb(self, shard: Shard, update: dict[str, Tensor]) -> None:
        """Take over the running norm of the gradient."""
        self.clip.absorb(update["norm"])

    def score(self, seed: int) -> float:
        """Return the validation accuracy after the inner loop; to poison, its mean with the share that is turned."""
        theta = self.students.after(self.variables, self._schedule(), self._theta("check", seed))
        seen, y = self.students.validated(theta), self.students.held.y
        if self.method.objective != "poison":
            return float((seen == y).double().mean())
        turned = y == self.method.from_class
        share = float((seen[turned] == self.method.to_class).double().mean())
        return (share + float((seen[~turned] == y[~turned]).double().mean())) / 2

    def decode(self) -> DistilledSet:
        """Return the present set with its steps."""
        provenance = {} if not self.given else {"networks": self.method.weights}
        return self.variables.set(self.task, self.method, self.seed, self._schedule(), provenance)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the variables, the running norm and the engine's mode."""
        return {**self.variables.tensors(), "norm": self.clip.norm, "mode": packed_mode(self.mode)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put such a state in place."""
        self.variables.load(state)
        self.clip.norm = state["norm"].to(self.device)
        self.mode = MODES[int(state["mode"])]

    def _theta(self, purpose: str, *key: int) -> Tensor:
        """Return the weights that an inner loop begins with: fresh, known, or trained ones."""
        if self.given:
            pool = self.given[-self.held_back :] if purpose == "check" else self.given[: -self.held_back]
            draw = (
                key[0]
                if purpose == "check"
                else int(torch.randint(2**31, (), generator=generator(self.seed, purpose, *key)))
            )
            return pool[draw % len(pool)]
        known = self.method.init == "known"
        return self.students.weights(self.seed, "known") if known else self.students.weights(self.seed, purpose, *key)

    def _outer(self, shard: Shard) -> RealLoss:
        if self.method.objective != "poison":
            return self.students.judge(shard.step, shard.network)
        a, b = self.method.from_class, self.method.to_class
        classes = len(self.task.classes)
        train, fit = self.students.train, self.students.fit
        turned = train.y[fit] == a
        chosen: list[Tensor] = []
        count = max(1, round(self.method.share * self.method.real_batch))
        for pool, n in ((fit[turned], count), (fit[~turned], max(1, self.method.real_batch - count))):
            draws = generator(self.seed, "poison", shard.step, shard.network, len(chosen))
            chosen.append(pool[torch.randint(len(pool), (n,), generator=draws)])
        members = train[torch.cat(chosen)]
        y = torch.where(members.y == a, b, members.y)
        return RealLoss(self.students.step, self.task.inputs(members.x), F.one_hot(y, classes).float())

    def _schedule(self) -> Schedule:
        method = self.method
        known = method.objective == "accuracy" and method.init == "known"
        return Schedule(
            self.students.net,
            self.variables.log_rates.detach().exp().cpu(),
            self.order.cpu(),
            self.rule,
            "given" if self.given else method.init,
            self.students.weights(self.seed, "known").cpu() if known else None,
            (method.from_class, method.to_class) if method.objective == "poison" else None,
        )
