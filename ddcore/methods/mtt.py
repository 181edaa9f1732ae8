"""mtt: a few steps on the set are to lead where many steps on the real data led an expert."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from ddcore.data import Examples, Task
from ddcore.draws import batches, generator
from ddcore.errors import UsageError
from ddcore.methods.unrolled import UnrollOptions, Variables, modes, packed_mode
from ddcore.nets import build_net, net_name
from ddcore.options import option
from ddcore.sets import DistilledSet
from ddcore.synthesis import Group, Part
from ddcore.training import Teacher, open_experts, small_recipe, validated
from ddcore.unroll import MICRO, MODES, Estimate, Flat, State, Step, Training, Unroll, choose, meta_gradient
from kernels import Rule


@dataclass(frozen=True)
class MTT(UnrollOptions):
    """Matching training trajectories: few steps on the set are to lead where many on real data led an expert.

    A student begins where an expert stood at a random point of its training and takes some steps of plain gradient
    descent on the synthetic set. How far it then is from where the expert stood some points later, over how far the
    expert came, is differentiated through all its steps, in the images, the step size and, if wanted, the labels.

    Source: Cazenavette et al. 2022, eq. 2. Deviates: Adam moves the variables, the images with one second moment for
    all pixels, the step size as its logarithm; images are changed as in the experts' training; the set is
    judged by the default recipe, without its own step size.
    """

    kinds: ClassVar[tuple[str, ...]] = ("images",)
    needs_teacher: ClassVar[bool] = False

    image_rate: float = option(0.01, "learning rate of the images, in standard deviations of a pixel", low=0)
    experts: str = option("", "run folder of train_experts.py")
    max_start: int = option(25, "last point of an expert that a student begins at", low=0)
    ahead: int = option(5, "points that the expert is ahead of where the student begins", low=1)
    inner_steps: int = option(12, "steps of a student", low=1)
    inner_batch: int = option(128, "synthetic members a step; never more than there are", low=1)
    rate: float = option(0.05, "step size to begin with", low=1e-9)
    step_rate: float = option(0.03, "learning rate of the logarithm of the step size", low=0)
    augment: bool = option(True, "change the images of a step as those of the experts were")
    checks: int = option(2, "validations on the way, besides the first", low=1)
    check_networks: int = option(1, "fresh networks a validation", low=1)
    check_steps: int = option(1000, "training steps of each of them", low=1)

    def quick(self) -> "MTT":
        """Return these options at toy length."""
        return replace(
            self,
            steps=min(self.steps, 6),
            inner_steps=min(self.inner_steps, 3),
            max_start=min(self.max_start, 1),
            ahead=1,
            checks=1,
            check_networks=1,
            check_steps=min(self.check_steps, 20),
        )

    def start(self, task: Task, budget: int, teacher: Teacher | None, seed: int, device: torch.device) -> "MTTRun":
        """Return the set to begin with.

        Raises:
            UsageError: experts are missing, of another kind or too short; or the start of the images needs a teacher.
            DDCoreError: a file of the experts is damaged.
        """
        return MTTRun(self, task, budget, teacher, seed, device)


@dataclass(frozen=True)
class Shard:
    """One student's part of a step."""

    step: int
    network: int


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


class MTTRun:
    """One run: the variables, and the experts that they are to lead after."""

    def __init__(
        self, method: MTT, task: Task, budget: int, teacher: Teacher | None, seed: int, device: torch.device
    ) -> None:
        self.method, self.task, self.seed, self.device = method, task, seed, device
        self.net = net_name(method.net, task)
        if not method.experts:
            raise UsageError("mtt needs --experts DIR: make them with scripts/train_experts.py")
        self.experts = open_experts(Path(method.experts), self.net, task)
        if self.experts.record.points < method.max_start + method.ahead:
            raise UsageError(
                f"the experts in {method.experts} have {self.experts.record.points} points, fewer than "
                f"--max-start {method.max_start} and --ahead {method.ahead} need"
            )
        flat = Flat(build_net(self.net, task, seed).to(device))
        self.step = Step(flat, micro=MICRO.get(device.type), graphs=method.cuda_graphs)
        self.mode = modes(method.unroll)[0]
        self.variables = Variables(
            task, budget, method.images, method.labels, method.temperature, method.rate, 1, teacher, seed, device
        )

    @property
    def groups(self) -> dict[str, Group]:
        """The images, the logarithm of the step size and, if they are learned, the labels."""
        method = self.method
        return self.variables.groups(method.image_rate, method.label_rate, method.step_rate, together=True)

    def shards(self, step: int) -> list[Shard]:
        """Return the students of a step."""
        return [Shard(step, network) for network in range(self.method.networks)]

    def gradient(self, shard: Shard) -> Part:
        """Return the gradients of how far one student stays from its expert."""
        found = meta_gradient(self._unroll(shard), self.mode)
        values = {"loss": float(found.loss), "step_size": float(self.variables.log_rates.exp())}
        return Part(self.variables.gradients(found, found.rates[None]), values)

    def absorb(self, shard: Shard, update: dict[str, Tensor]) -> None:
        """Do nothing: no student outlives its step."""

    def forecast(self) -> Estimate:
        """Return what a meta-gradient costs in the better mode."""
        return choose(self._unroll(Shard(0, 0)), modes(self.method.unroll))

    def score(self, seed: int) -> float:
        """Return the validation accuracy, a fraction, of a fresh network trained on the present set.

        It is trained as `evaluate` would train it, with no step size of the set's own.
        """
        recipe = replace(small_recipe(self.task, self.net, "cpu"), steps=self.method.check_steps)
        net = build_net(self.net, self.task, self.seed, "validation", seed)
        variables = self.variables
        examples = Examples(variables.x.detach(), variables.y, variables.soft)
        return validated(net, self.task, examples, recipe, seed=seed, device=self.device)

    def decode(self) -> DistilledSet:
        """Return the present set."""
        provenance = {"experts": asdict(self.experts.record), "step_size": float(self.variables.log_rates.exp())}
        return self.variables.set(self.task, self.method, self.seed, None, provenance)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the variables and the engine's mode."""
        return {**self.variables.tensors(), "mode": packed_mode(self.mode)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put such a state in place."""
        self.variables.load(state)
        self.mode = MODES[int(state["mode"])]

    def _unroll(self, shard: Shard) -> Unroll:
        """Return one student's inner loop and outer loss."""
        method, variables = self.method, self.variables
        key = (self.seed, shard.step, shard.network)
        draws = generator("expert", *key)
        expert = int(torch.randint(self.experts.record.experts, (), generator=draws))
        begin = int(torch.randint(method.max_start + 1, (), generator=draws))
        theta, goal = (self.experts.point(expert, place).to(self.device) for place in (begin, begin + method.ahead))
        rows = batches(len(variables.y), method.inner_batch, range(method.inner_steps), "inner order", *key)

        def shown(x: Tensor, t: int) -> Tensor:
            return self.experts.record.changed(x, self.task, generator("inner change", *key, t))

        order = torch.stack(list(rows)).to(self.device)
        rule = Rule()
        training = Training(self.step, order, rule, shown if method.augment else None)
        rate = variables.log_rates.exp()[0]
        start, outer = State.fresh(theta, rule), Approach(theta, goal)
        return Unroll(training, start, variables.x, variables.targets, rate, outer)
