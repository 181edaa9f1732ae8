"""mtt: a few steps on the set are to lead where many steps on the real data led an expert."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from ddcore.data import Examples
from ddcore.draws import batches, generator
from ddcore.errors import require
from ddcore.kernels import Rule
from ddcore.methods.unrolled import Unrolled, UnrolledRun
from ddcore.methods.variables import Rates, Variables
from ddcore.nets import build_net, net_name
from ddcore.options import group, later, option
from ddcore.problem import Problem
from ddcore.runtime import JSONObject, Session, collected
from ddcore.sets import DistilledSet
from ddcore.synthesis import Group, Part, Shard, Synthesis, TrainedValidation
from ddcore.training import answers, open_experts, predict
from ddcore.unroll import MODES, Estimate, Flat, State, Step, Training, Unroll, choose, meta_gradient, micro_batch

GROWTH = 0.1
"""Share of the outer steps over which the stretch of points that students begin at grows."""


@dataclass(frozen=True)
class Trajectory:
    """The stretch of an expert's training that is matched."""

    experts: str = option("", "run folder of train_experts.py")
    min_start: int = later(option(0, "first point of an expert that a student begins at", low=0))
    first_max_start: int | None = later(
        option(
            None,
            "last point that a student begins at in the first step; it grows to --max-start over the first tenth of "
            "the steps (default: --max-start)",
            low=0,
        )
    )
    max_start: int = option(25, "last point of an expert that a student begins at", low=0)
    ahead: int = option(5, "points that the expert is ahead of where the student begins", low=1)
    right_experts: bool = later(
        option(
            False,
            "begin with members that an expert recognises at its end, and --labels learned as the mean logits of the "
            "experts that recognise the member",
        )
    )

    def last(self, step: int, steps: int) -> int:
        """Return the last point that a student begins at in a step, of so many."""
        if self.first_max_start is None:
            return self.max_start
        share = min(1.0, step / max(1.0, GROWTH * steps))
        return self.first_max_start + int(share * (self.max_start - self.first_max_start))

    def check(self, points: int, labels: str) -> None:
        """Refuse a stretch that experts with so many points do not have, or labels that nobody learns.

        Raises:
            UsageError: the line says which option does not fit.
        """
        require(
            points >= self.max_start + self.ahead,
            f"the experts in {self.experts} have {points} points, fewer than --max-start {self.max_start} and --ahead "
            f"{self.ahead} need",
        )
        first = self.max_start if self.first_max_start is None else self.first_max_start
        require(
            self.min_start <= first <= self.max_start,
            f"students begin between --min-start {self.min_start} and --first-max-start {first}, which grows to "
            f"--max-start {self.max_start}: each must be at least the one before",
        )
        require(
            labels == "learned" or not self.right_experts,
            f"--right-experts gives labels to begin with, and --labels {labels} learns none: add --labels learned",
        )


@dataclass(frozen=True)
class Student:
    """The training of a student."""

    steps: int = option(12, "steps of a student", low=1, flags="inner-steps")
    batch: int = option(128, "synthetic members per step; never more than there are", low=1, flags="inner-batch")
    rate: float = option(0.05, "step size to begin with", low=1e-9)
    augment: bool = option(True, "change the images of a step as those of the experts were")


@dataclass(frozen=True)
class MTT(Unrolled):
    """Matching training trajectories: few steps on the set are to lead where many on real data led an expert.

    A student begins where an expert stood at a random point of its training and takes some steps of plain gradient
    descent on the synthetic set. How far it then is from where the expert stood some points later, over how far the
    expert came, is differentiated through all its steps, in the images, the step size and, if wanted, the labels.

    Source: Cazenavette et al. 2022, eq. 2. Deviates: Adam moves the variables, the images with one second moment for
    all pixels, the step size as its logarithm; images are changed as in the experts' training; the set is
    judged by the default recipe, without its own step size. A stretch of starting points that grows, and labels that
    begin as the logits of the experts that are right, are of Guo et al. 2024, DATM.
    """

    name: ClassVar[str] = "mtt"

    rates: Rates = group(Rates(images=0.01, steps=0.03))
    trajectory: Trajectory = group(Trajectory())
    student: Student = group(Student())
    validation: TrainedValidation = group(TrainedValidation.usual(2, 1, 1000))

    def quick(self) -> "MTT":
        """Return these options at toy length."""
        return replace(
            self,
            steps=min(self.steps, 6),
            student=replace(self.student, steps=min(self.student.steps, 3)),
            trajectory=replace(
                self.trajectory,
                min_start=0,
                first_max_start=None,
                max_start=min(self.trajectory.max_start, 1),
                ahead=1,
            ),
            validation=self.validation.quick(),
        )

    def start(self, problem: Problem, session: Session) -> "MTTRun":
        """Return the set to begin with.

        Raises:
            UsageError: experts are missing, of another kind or too short; or the start of the images needs a teacher.
            DDCoreError: a file of the experts is damaged.
        """
        return MTTRun(self, problem, session)


class Approach:
    """An outer loss: how far theta is from a goal, over how far the beginning was; squared distances.

    Source: Cazenavette et al. 2022, eq. 2.

    Args:
        begin, goal: ``(P,)``.
    """

    def __init__(self, begin: Tensor, goal: Tensor) -> None:
        self.goal, self.scale = goal, (begin - goal).square().sum()

    def __call__(self, theta: Tensor) -> Tensor:
        """Return the loss ``()`` of theta ``(P,)``."""
        return (theta - self.goal).square().sum() / self.scale


class MTTRun(UnrolledRun):
    """One run: the variables, and the experts that they are to lead after."""

    method: MTT

    def __init__(self, method: MTT, problem: Problem, session: Session) -> None:
        task, path = problem.task, method.trajectory
        self.net = self.validation_net = net_name(method.net, task)
        require(bool(path.experts), "mtt needs --experts DIR: make them with scripts/train_experts.py")
        self.experts = open_experts(Path(path.experts), self.net, task)
        if self.experts.note:
            session.tell(f"note: {self.experts.note}")
        path.check(self.experts.record.points, method.labels.kind)
        flat = Flat(build_net(self.net, task, problem.seed).to(problem.device))
        self.step = Step(flat, micro=micro_batch(problem.device, problem.task.shape), graphs=method.engine.cuda_graphs)
        rates = torch.full((1,), method.student.rate)
        super().__init__(method, problem, session, self._first(method, problem, session, rates))

    @property
    def groups(self) -> dict[str, Group]:
        """The images, the logarithm of the step size and, if they are learned, the labels."""
        return self.learned.groups(self.method.rates, together=True)

    def gradient(self, shard: Shard) -> Part:
        """Return the gradients of how far one student stays from its expert."""
        meta = meta_gradient(self._unroll(shard), self.mode)
        values = {"loss": float(meta.loss), "step_size": float(self.learned.log_rates.exp())}
        return Part(self.learned.gradients(meta, meta.rates[None]), values)

    def absorb(self, shard: Shard, update: dict[str, Tensor]) -> None:
        """Do nothing: no student outlives its step."""

    def forecast(self) -> Estimate:
        """Return what a meta-gradient costs in the better mode."""
        return choose(self._unroll(Shard(0)), self.method.engine.modes)

    def use_chunk(self, chunk: int) -> None:
        """Take micro-batches of at most so many members; 0 for no limit."""
        super().use_chunk(chunk)
        if chunk:
            self.step.micro = min(self.step.micro or chunk, chunk)

    def inner_loop(self) -> tuple[str, int, int]:
        """Return the network of a student, and the members of all its steps, which are all differentiated."""
        members = min(self.method.student.batch, self.problem.budget) * self.method.student.steps
        return self.net, members, members

    def trial_operations(self) -> tuple[float, float]:
        """Return the operations of a network of a validation apart from training steps, and of one of these."""
        return Synthesis.trial_operations(self)

    def score(self, seed: int) -> float:
        """Return the validation accuracy, a fraction, of a fresh network trained on the present set.

        It is trained as an evaluation would train it, with no step size of the set's own.
        """
        examples = Examples(self.learned.x.detach(), self.learned.y, self.learned.soft)
        return self.trained_accuracy(examples, seed)

    def decode(self, notes: JSONObject | None = None) -> DistilledSet:
        """Return the present set."""
        step_size = float(self.learned.log_rates.exp())
        return self.unrolled_set({"experts": asdict(self.experts.record), "step_size": step_size, **(notes or {})})

    def memory(self) -> dict[str, Tensor]:
        """Return the engine's mode."""
        return {"mode": torch.tensor(MODES.index(self.mode))}

    def remember(self, state: dict[str, Tensor]) -> None:
        """Put such a state in place."""
        self.mode = MODES[int(state["mode"])]

    def _first(self, method: MTT, problem: Problem, session: Session, rates: Tensor) -> Variables:
        """Return the variables to begin with."""
        task, path = problem.task, method.trajectory
        if not path.right_experts:
            return Variables(problem, session, method.init, method.labels, rates)
        require(method.init != "noise", "--right-experts is for real members to begin with: leave --init noise out")
        flat = Flat(build_net(self.net, task, problem.seed))
        last, experts = self.experts.record.points, range(self.experts.record.experts)
        net = flat.load(self.experts.point(0, last))
        said = answers(net, task, task.train.x, device=problem.device, members=problem.pool)
        found = (logits.argmax(1) == task.train.y[problem.pool[rows]] for rows, logits in said)
        right = collected(found, len(problem.pool))
        known = replace(problem, pool=problem.pool[right])
        variables = Variables(known, session, method.init, method.labels, rates)
        assert variables.chosen is not None
        x, y = task.train.x[variables.chosen], task.train.y[variables.chosen]
        said_by = [predict(flat.load(self.experts.point(k, last)), task, x, device=problem.device) for k in experts]
        logits = torch.stack(said_by)
        weight = (logits.argmax(2) == y).float()
        variables.soft = ((weight[:, :, None] * logits).sum(0) / weight.sum(0)[:, None]).to(problem.device)
        return variables

    def _unroll(self, shard: Shard) -> Unroll:
        """Return what one student's part of a step differentiates."""
        method, learned, device = self.method, self.learned, self.problem.device
        key = (self.problem.seed, shard.step, shard.part)
        draws = generator("expert", *key)
        expert = int(torch.randint(self.experts.record.experts, (), generator=draws))
        first, last = method.trajectory.min_start, method.trajectory.last(shard.step, method.steps)
        begin = int(torch.randint(first, last + 1, (), generator=draws))
        theta = self.experts.point(expert, begin).to(device)
        goal = self.experts.point(expert, begin + method.trajectory.ahead).to(device)
        rows = batches(len(learned.y), method.student.batch, range(method.student.steps), "inner order", *key)

        def shown(x: Tensor, t: int) -> Tensor:
            return self.experts.record.changed(x, self.problem.task, generator("inner change", *key, t))

        order = torch.stack(list(rows)).to(device)
        rule = Rule()
        training = Training(self.step, order, rule, shown if method.student.augment else None)
        rate, start = learned.log_rates.exp()[0], State.fresh(theta, rule)
        return Unroll(training, start, learned.x, learned.targets, rate, Approach(theta, goal))
