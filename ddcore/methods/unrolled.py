"""What the methods share that differentiate through an unrolled inner loop: options, networks, the run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddcore.data import at_hand, batch_of
from ddcore.draws import generator
from ddcore.errors import require
from ddcore.methods.matching import SECOND
from ddcore.methods.variables import Rates, Variables
from ddcore.nets import build_net, net_name
from ddcore.options import group, option
from ddcore.problem import Problem
from ddcore.runtime import JSONObject, Session
from ddcore.selection import SELECTORS
from ddcore.sets import DistilledSet
from ddcore.synthesis import Group, Method, Shard, Synthesis, Validation
from ddcore.training import Labels, answers
from ddcore.unroll import EXACT, GRAPHS, MODES, Flat, MetaGradient, RealLoss, Schedule, Step, micro_batch

INIT_HELP = f"what the images start as: noise, or the members of a selector ({', '.join(SELECTORS)})"
OPTIMISERS = ("adam", "sgd")
REMEMBERED = 0.9
UNROLLED = 12
"""Operations of an inner step that is differentiated, in those of the network's answers to its members."""


@dataclass(frozen=True)
class Engine:
    """How inner loops are differentiated."""

    unroll: str = option(
        "states",
        "keep states (lean) or autograd's graph; auto measures which is quicker here; first-order keeps nothing and "
        "drops what goes through earlier weights, for plain gradient descent (TESLA)",
        choices=(*MODES, "auto"),
    )
    cuda_graphs: str = option("auto", "run inner steps as CUDA graphs: auto, where there is a GPU", choices=GRAPHS)

    @property
    def modes(self) -> tuple[str, ...]:
        """The engine's modes to choose from."""
        return EXACT if self.unroll == "auto" else (self.unroll,)


@dataclass(frozen=True)
class InnerLoop:
    """The training that is differentiated."""

    batches: int = option(1, "inner steps per epoch: the set is cut into so many batches", low=1)
    epochs: int = option(40, "times that the inner loop goes over the set", low=1)
    optimiser: str = option("adam", "inner optimiser", choices=OPTIMISERS, flags="inner")
    rate: float = option(0.004, "step size to begin with", low=1e-9)
    momentum: float = option(0.9, "of the inner optimiser; Adam's first beta", low=0, high=0.999)

    def order(self, problem: Problem) -> Tensor:
        """Return which members each step takes: ``(batches * epochs, budget / batches)`` int64.

        Members stand class after class in turn, so that consecutive ones share the classes evenly.

        Raises:
            UsageError: the budget cannot be shared so.
        """
        require(
            not problem.budget % self.batches,
            f"--budget {problem.budget} cannot be cut into {self.batches} equal batches (--batches)",
        )
        return torch.arange(problem.budget, device=problem.device).view(self.batches, -1).repeat(self.epochs, 1)


@dataclass(frozen=True)
class Unrolled(Method):
    """Options of every method that differentiates through an inner loop."""

    precision: ClassVar[str] = "ieee"

    steps: int = option(1000, "outer steps", low=1)
    net: str = option("convnet", "network that is unrolled")
    init: str = option("random", INIT_HELP, flags="init images")
    labels: Labels = group(Labels(), hide=("teacher_share",))
    networks: int = option(1, "networks per outer step", low=1)
    rates: Rates = group(Rates())
    engine: Engine = group(Engine())
    validation: Validation = group(Validation())


class Clip:
    """Scales a gradient down to the running mean of the norms before it.

    Source: Feng et al. 2024.
    """

    def __init__(self, device: torch.device) -> None:
        self.norm = torch.zeros((), device=device)

    def share(self, norm: Tensor) -> Tensor:
        """Return what a gradient of this norm ``()`` is to be multiplied with."""
        return (self.norm / norm).clamp(max=1.0) if self.norm > 0 else torch.ones_like(norm)

    def absorb(self, norm: Tensor) -> None:
        """Let a norm ``()`` count."""
        norm = norm.to(self.norm.device)
        self.norm = norm if self.norm == 0 else self.norm.lerp(torch.minimum(norm, 10 * self.norm), 1 - REMEMBERED)


class Students:
    """Fresh networks of one kind, the real members that judge them, and what training on the set makes of them.

    Args:
        problem: what is asked for.
        net: name of the network.
        real_batch: members that judge a network.
        graphs: whether a GPU runs inner steps as CUDA graphs.
    """

    def __init__(self, problem: Problem, net: str, real_batch: int, graphs: str = "auto") -> None:
        self.problem, self.real_batch = problem, real_batch
        task, device = problem.task, problem.device
        self.net = net_name(net, task)
        self.flat = Flat(build_net(self.net, task, problem.seed).to(device))
        self.step = Step(self.flat, micro=micro_batch(device, problem.task.shape), graphs=graphs)
        self.fit = task.fit
        self.train = at_hand(task.train, device)

    def weights(self, *key: int | str) -> Tensor:
        """Return fresh weights ``(P,)``, the same for the same key."""
        return Flat(build_net(self.net, self.problem.task, *key)).start().to(self.problem.device)

    def real(self, *key: int | str) -> tuple[Tensor, Tensor]:
        """Return a batch of real members outside the validation split, and their labels as probabilities."""
        draws = generator(self.problem.seed, "real", *key)
        drawn = torch.randint(len(self.fit), (self.real_batch,), generator=draws)
        members, task = batch_of(self.train, self.fit[drawn]), self.problem.task
        return task.inputs(members.x), F.one_hot(members.y, len(task.classes)).float()

    def judge(self, *key: int | str) -> RealLoss:
        """Return the outer loss: that of real members."""
        return RealLoss(self.step, *self.real(*key))

    def accuracy(self, theta: Tensor) -> float:
        """Return the accuracy, a fraction, of a network with the parameters theta on the validation split."""
        return float((self.validated(theta) == self.held_y).double().mean())

    def validated(self, theta: Tensor) -> Tensor:
        """Return the classes ``(V,)`` int64 that theta sees in the members of the validation split."""
        net: nn.Module = self.flat.load(theta)
        task = self.problem.task
        found = answers(net, task, task.train.x, device=self.problem.device, members=task.validation)
        return torch.cat([logits.argmax(1) for _, logits in found])

    @property
    def held_y(self) -> Tensor:
        """The classes ``(V,)`` int64 of the validation split, on the CPU."""
        return self.problem.task.train.y[self.problem.task.validation]

    def limit(self, chunk: int) -> None:
        """Take micro-batches of at most so many members."""
        self.step.micro = min(self.step.micro or chunk, chunk)

    def after(self, variables: Variables, schedule: Schedule, theta: Tensor) -> Tensor:
        """Return the parameters after following the schedule on the present set from theta ``(P,)``."""
        return schedule.follow(self.step, variables.x, variables.targets, theta)


class UnrolledRun(Synthesis):
    """One run of a method that differentiates through an inner loop. A subclass gives `gradient`.

    Attributes:
        learned: images, labels and step sizes.
        clip: scales gradients down, with its running norm.
    """

    method: Unrolled

    def __init__(self, method: Unrolled, problem: Problem, session: Session, learned: Variables) -> None:
        super().__init__(method, problem, session)
        self.learned = learned
        self.mode = method.engine.modes[0]
        self.clip = Clip(problem.device)

    @property
    def groups(self) -> dict[str, Group]:
        """The images, the logarithms of the step sizes and, if they are learned, the labels."""
        return self.learned.groups(self.method.rates)

    def shards(self, step: int) -> Sequence[Shard]:
        """Return the networks of a step."""
        return [Shard(step, network) for network in range(self.method.networks)]

    def absorb(self, shard: Shard, update: dict[str, Tensor]) -> None:
        """Take over the running norm of the gradient."""
        self.clip.absorb(update["norm"])

    def clipped(self, meta: MetaGradient, d_rates: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Return the gradients of the variables, scaled down together, and the norm ``()`` of that of the images."""
        norm = meta.x.norm()
        share = self.clip.share(norm)
        gradients = self.learned.gradients(meta, d_rates)
        return {name: share * gradient for name, gradient in gradients.items()}, norm

    def widest(self) -> tuple[int, float]:
        """Return the members of a micro-batch, and the bytes for each of them."""
        net, members, _ = self.inner_loop()
        micro = micro_batch(self.problem.device, self.problem.task.shape)
        return min(members, micro or members), SECOND * self.kept(net)

    def inner_loop(self) -> tuple[str, int, int]:
        """Return the network of the inner loop, and the members of all its steps and of those differentiated."""
        raise TypeError(f"{type(self).__name__} has no inner loop of one length")

    def step_operations(self) -> float:
        """Return about how many operations an outer step takes: the inner steps, there and back, and the outer loss."""
        net, _, members = self.inner_loop()
        real = getattr(self.method, "real_batch", 0)
        return self.method.networks * (UNROLLED * members + 3 * real) * self.operations(net)

    def trial_operations(self) -> tuple[float, float]:
        """Return the operations of a network of a validation: an inner loop, and the answers to the members."""
        net, members, _ = self.inner_loop()
        return (3 * members + len(self.problem.task.validation)) * self.operations(net), 0.0

    def memory(self) -> dict[str, Tensor]:
        """Return the running norm and the engine's mode."""
        return {"norm": self.clip.norm, "mode": torch.tensor(MODES.index(self.mode))}

    def remember(self, state: dict[str, Tensor]) -> None:
        """Put such a state in place."""
        self.clip.norm = state["norm"].to(self.problem.device)
        self.mode = MODES[int(state["mode"])]

    def unrolled_set(self, provenance: JSONObject) -> DistilledSet:
        """Return the present set, its labels soft where they are learned or a teacher's."""
        began = "noise" if self.learned.chosen is None else self.learned.chosen.tolist()
        learned = self.learned
        return self.image_set(learned.x, learned.y, learned.soft, 1.0, {"began at": began, **provenance})
