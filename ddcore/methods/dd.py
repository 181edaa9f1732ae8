"""dd: the original dataset distillation, with step sizes learned for every step."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ddcore.data import batch_of
from ddcore.draws import generator
from ddcore.errors import require
from ddcore.kernels import Rule
from ddcore.methods.unrolled import INIT_HELP, InnerLoop, Students, Unrolled, UnrolledRun
from ddcore.methods.variables import Variables
from ddcore.options import group, option
from ddcore.problem import Problem
from ddcore.runtime import JSONObject, Session
from ddcore.sets import DistilledSet
from ddcore.synthesis import Part, Shard
from ddcore.training import load_weights
from ddcore.unroll import Estimate, RealLoss, Schedule, State, Training, Unroll, choose, meta_gradient

OBJECTIVES = ("accuracy", "adapt", "poison")
START_WEIGHTS = ("random", "known")


@dataclass(frozen=True)
class Objective:
    """What the steps are for."""

    kind: str = option("accuracy", "what the steps are for", choices=OBJECTIVES, flags="objective")
    weights: str = option("", "adapt, poison: run folder of train_baseline.py whose networks are to be turned")
    from_class: int = option(0, "poison: the class to be mistaken", low=0)
    to_class: int = option(1, "poison: the class that it is to be mistaken for", low=0)
    share: float = option(0.5, "poison: of the class to be mistaken among the real members", low=0.01, high=0.99)


@dataclass(frozen=True)
class DD(Unrolled):
    """Images whose few gradient steps, of learned sizes, teach a network; or turn a trained one.

    A network takes a step on each batch of synthetic images, epoch after epoch; the loss of the result on real
    members is differentiated through all steps. ``--objective adapt`` begins with networks trained on another data
    set; ``poison`` begins with networks trained on this one and makes them take one class for another, which shows
    what training on a set from a stranger can do.

    Source: Wang et al. 2018. Deviates: step sizes are learned as logarithms; labels may be learned, too.
    """

    name: ClassVar[str] = "dd"

    real_batch: int = option(500, "real members that judge a network", low=1)
    init: str = option("noise", INIT_HELP, flags="init images")
    start_weights: str = option(
        "random", "random weights, or known ones that travel with the set", choices=START_WEIGHTS
    )
    objective: Objective = group(Objective())
    loop: InnerLoop = group(InnerLoop(2, 10, "sgd", 0.02, 0.9), hide=("optimiser",))

    def __post_init__(self) -> None:
        # Before a run folder is opened, so that the corrected command finds none.
        require(
            self.init != "known",
            "--init is what the images start as; weights that travel with the set are --start-weights known",
        )
        require(
            self.objective.kind != "accuracy" or not self.objective.weights,
            "--weights names networks to be turned: leave it out, or add --objective adapt or --objective poison",
        )

    def quick(self) -> "DD":
        """Return these options at toy length."""
        return replace(
            self,
            steps=min(self.steps, 6),
            validation=self.validation.quick(),
            real_batch=min(self.real_batch, 50),
        )

    def start(self, problem: Problem, session: Session) -> "DDRun":
        """Return the set to begin with.

        Raises:
            UsageError: the budget cannot be cut into the batches, trained networks are missing, or a class is unknown.
        """
        session.tell(f"dd: the images start as {self.init}, the weights are {self.start_weights}")
        return DDRun(self, problem, session)


class DDRun(UnrolledRun):
    """One run: the variables, and the networks that they are tried on."""

    method: DD

    def __init__(self, method: DD, problem: Problem, session: Session) -> None:
        task, aim = problem.task, method.objective
        require(
            aim.kind != "poison" or max(aim.from_class, aim.to_class) < len(task.classes),
            f"--from-class and --to-class must be below {task.name}'s {len(task.classes)} classes",
        )
        self.order = method.loop.order(problem)
        self.students = Students(problem, method.net, method.real_batch, method.engine.cuda_graphs)
        rates = torch.full((len(self.order),), method.loop.rate)
        super().__init__(method, problem, session, Variables(problem, session, method.init, method.labels, rates))
        if aim.kind == "poison":
            self.learned.relabel(aim.from_class, aim.to_class)
        self.rule = Rule(momentum=method.loop.momentum)
        self.trained: list[Tensor] = []
        if aim.kind != "accuracy":
            require(
                bool(aim.weights), f"--objective {aim.kind} needs --weights RUN_DIR with networks of train_baseline.py"
            )
            self.trained = [
                each.to(problem.device) for each in load_weights(Path(aim.weights), self.students.net, task)
            ]
            require(
                len(self.trained) >= 2, f"{aim.weights} holds one network: at least two are needed, one to validate on"
            )
        self.held_back = max(1, len(self.trained) // 5)

    def gradient(self, shard: Shard) -> Part:
        """Return the gradients of the loss after all inner steps of one network."""
        meta = meta_gradient(self._unroll(shard), self.mode)
        gradients, norm = self.clipped(meta, meta.rates)
        return Part(gradients, {"loss": float(meta.loss), "gradient_norm": float(norm)}, {"norm": norm})

    def forecast(self) -> Estimate:
        """Return what a meta-gradient costs in the better mode."""
        return choose(self._unroll(Shard(0)), self.method.engine.modes)

    def use_chunk(self, chunk: int) -> None:
        """Take micro-batches of at most so many members; 0 for no limit."""
        super().use_chunk(chunk)
        if chunk:
            self.students.limit(chunk)

    def inner_loop(self) -> tuple[str, int, int]:
        """Return the network of the inner loop, and the members of all its steps, which are all differentiated."""
        return self.students.net, self.order.numel(), self.order.numel()

    def score(self, seed: int) -> float:
        """Return the validation accuracy after the inner loop; to poison, its mean with the share that is turned."""
        aim = self.method.objective
        theta = self.students.after(self.learned, self._schedule(), self._theta("check", seed))
        seen, y = self.students.validated(theta), self.students.held_y
        if aim.kind != "poison":
            return float((seen == y).double().mean())
        turned = y == aim.from_class
        share = float((seen[turned] == aim.to_class).double().mean())
        return (share + float((seen[~turned] == y[~turned]).double().mean())) / 2

    def decode(self, notes: JSONObject | None = None) -> DistilledSet:
        """Return the present set with its steps."""
        networks = {"networks": self.method.objective.weights} if self.trained else {}
        return replace(self.unrolled_set({**networks, **(notes or {})}), schedule=self._schedule())

    def _unroll(self, shard: Shard) -> Unroll:
        """Return what one network's part of a step differentiates."""
        start = State.fresh(self._theta("inner", shard.step, shard.part), self.rule)
        training = Training(self.students.step, self.order, self.rule)
        learned = self.learned
        return Unroll(training, start, learned.x, learned.targets, learned.log_rates.exp(), self._outer(shard))

    def _theta(self, purpose: str, *key: int) -> Tensor:
        """Return the weights that an inner loop begins with: fresh, known, or trained ones."""
        seed = self.problem.seed
        if self.trained:
            validating = purpose == "check"
            pool = self.trained[-self.held_back :] if validating else self.trained[: -self.held_back]
            draws = generator(seed, purpose, *key)
            draw = key[0] if validating else int(torch.randint(2**31, (), generator=draws))
            return pool[draw % len(pool)]
        known = self.method.start_weights == "known"
        return self.students.weights(seed, "known") if known else self.students.weights(seed, purpose, *key)

    def _outer(self, shard: Shard) -> RealLoss:
        aim = self.method.objective
        if aim.kind != "poison":
            return self.students.judge(shard.step, shard.part)
        train, fit = self.students.train, self.students.fit
        turned = self.problem.task.train.y[fit] == aim.from_class
        chosen: list[Tensor] = []
        count = max(1, round(aim.share * self.method.real_batch))
        for pool, n in ((fit[turned], count), (fit[~turned], max(1, self.method.real_batch - count))):
            draws = generator(self.problem.seed, "poison", shard.step, shard.part, len(chosen))
            chosen.append(pool[torch.randint(len(pool), (n,), generator=draws)])
        members, task = batch_of(train, torch.cat(chosen)), self.problem.task
        y = torch.where(members.y == aim.from_class, aim.to_class, members.y)
        return RealLoss(self.students.step, task.inputs(members.x), F.one_hot(y, len(task.classes)).float())

    def _schedule(self) -> Schedule:
        method, aim = self.method, self.method.objective
        known = aim.kind == "accuracy" and method.start_weights == "known"
        return Schedule(
            self.students.net,
            self.learned.log_rates.detach().exp().cpu(),
            self.order.cpu(),
            self.rule,
            "given" if self.trained else method.start_weights,
            self.students.weights(self.problem.seed, "known").cpu() if known else None,
            (aim.from_class, aim.to_class) if aim.kind == "poison" else None,
        )
