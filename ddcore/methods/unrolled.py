"""What the methods share that differentiate through an unrolled inner loop: the variables, the start, the score."""

from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddcore.data import Task
from ddcore.draws import generator
from ddcore.errors import UsageError, known
from ddcore.nets import build_net, net_name
from ddcore.options import option
from ddcore.selection import SELECTORS, Choice
from ddcore.sets import DistilledSet
from ddcore.synthesis import Group, made_images
from ddcore.training import Teacher, predict
from ddcore.unroll import GRAPHS, MICRO, MODES, Flat, MetaGradient, RealLoss, Schedule, Step

IMAGES = ("noise", "random", "k-means", "herding", "k-center")
LABELS = ("hard", "soft", "learned")
UNROLLS = (*MODES, "auto")
REMEMBERED = 0.9


@dataclass(frozen=True)
class UnrollOptions:
    """Options of every method that differentiates through an inner loop."""

    steps: int = option(1000, "outer steps", low=1)
    net: str = option("convnet", "network that is unrolled")
    images: str = option("random", "what the images begin as", choices=IMAGES)
    labels: str = option("hard", "soft: a teacher's, fixed; learned: like the images", choices=LABELS)
    temperature: float = option(4.0, "of a teacher's labels", low=0.01)
    networks: int = option(1, "networks an outer step", low=1)
    image_rate: float = option(0.05, "learning rate of the images, in standard deviations of a pixel", low=0)
    label_rate: float = option(0.05, "learning rate of the labels, in logits", low=0)
    unroll: str = option(
        "states", "keep states (lean) or autograd's graph; auto measures which is quicker here", choices=UNROLLS
    )
    cuda_graphs: str = option("auto", "run inner steps as CUDA graphs: auto, where there is a GPU", choices=GRAPHS)
    checks: int = option(5, "validations on the way, besides the first", low=1)
    check_networks: int = option(4, "fresh networks a validation", low=1)


@dataclass(frozen=True)
class JudgedOptions(UnrollOptions):
    """Options of a method whose networks are judged by real members after the inner loop."""

    real_batch: int = option(500, "real members that judge a network", low=1)


class Variables:
    """Synthetic images, their labels and the step sizes of the inner loop.

    Attributes:
        x: ``(N, C, H, W)`` float32, normalised.
        y: ``(N,)`` int64, the class that each member stands for; as many of each, class after class in turn.
        soft: ``(N, K)`` float32 logits of the labels where they are soft; else None.
        log_rates: ``(S,)`` float32, logarithms of the step sizes, so that these stay positive.
        chosen: ``(N,)`` int64, the real members that the images began as; None for noise.
        pace: ``(N,)``, the share of the learning rate that a member moves at.
    """

    def __init__(
        self,
        task: Task,
        budget: int,
        images: str,
        labels: str,
        temperature: float,
        rate: float,
        rates: int,
        teacher: Teacher | None,
        seed: int,
        device: torch.device,
    ) -> None:
        classes = len(task.classes)
        known("start of the images", images, list(IMAGES))
        self.y = torch.arange(budget, device=device) % classes
        self.chosen: Tensor | None = None
        if images == "noise":
            draws = generator(seed, "noise")
            self.x = torch.randn(budget, *task.shape, generator=draws).to(device)
        else:
            self.chosen = _in_turn(task, _select(images, task, budget, teacher, seed, device))
            self.x = task.inputs(task.train.x[self.chosen]).to(device).clone()
        self.soft: Tensor | None = None
        self.learned = labels == "learned"
        if labels != "hard":
            self.soft = _first_labels(self.chosen, self.y, classes, temperature, teacher)
        self.log_rates = torch.full((rates,), rate, device=device).log()
        self.pace = torch.ones(budget, device=device)
        self.classes = classes

    @property
    def targets(self) -> Tensor:
        """Label probabilities ``(N, K)``."""
        return F.one_hot(self.y, self.classes).float() if self.soft is None else self.soft.softmax(1)

    def grow(self, size: int, earlier: DistilledSet | None, pace: float) -> None:
        """Keep the first `size` members, of which those of an earlier set take its images, labels and step size.

        Args:
            size: members to keep.
            earlier: the set of the stage before; None for the first stage.
            pace: the share of the learning rate that its members move at.
        """
        self.x, self.y, self.pace = self.x[:size].clone(), self.y[:size], self.pace[:size].clone()
        self.chosen = None if self.chosen is None else self.chosen[:size]
        self.soft = None if self.soft is None else self.soft[:size].clone()
        if earlier is not None and earlier.schedule is not None:
            kept = len(earlier)
            self.x[:kept] = earlier.inputs().to(self.x.device)
            if self.soft is not None and earlier.soft is not None:
                self.soft[:kept] = earlier.soft.to(self.x.device)
            self.log_rates.fill_(float(earlier.schedule.rates[0].log()))
            self.pace[:kept] = pace

    def first(self, size: int) -> "Variables":
        """Return the first `size` members as views: what changes these changes the whole, and the other way round."""
        part = copy(self)
        part.x, part.y, part.pace = self.x[:size], self.y[:size], self.pace[:size]
        part.soft = None if self.soft is None else self.soft[:size]
        part.chosen = None if self.chosen is None else self.chosen[:size]
        return part

    def relabel(self, old: int, new: int) -> None:
        """Give the members of one class the label of another."""
        changed = self.y == old
        self.y = torch.where(changed, new, self.y)
        if self.soft is not None:
            self.soft[changed] = _first_labels(None, self.y[changed], self.classes, 1.0, None)

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that changes, by name."""
        found = {"x": self.x, "log_rates": self.log_rates}
        return {**found, "soft": self.soft} if self.learned and self.soft is not None else found

    def load(self, state: dict[str, Tensor]) -> None:
        """Put tensors of those names in place."""
        for name, tensor in self.tensors().items():
            tensor.copy_(state[name])

    def groups(
        self, image_rate: float, label_rate: float, step_rate: float, together: bool = False
    ) -> dict[str, Group]:
        """Return the variables with their learning rates; together: as in `Group`, of the images."""
        rates: dict[str, float | Tensor] = {
            "x": image_rate * self.pace[:, None, None, None],
            "soft": label_rate * self.pace[:, None],
            "log_rates": step_rate,
        }
        titles = {"x": "images", "soft": "labels", "log_rates": "step sizes"}
        return {
            titles[name]: Group({name: tensor}, rates[name], together and name == "x")
            for name, tensor in self.tensors().items()
        }

    def gradients(self, found: MetaGradient, d_rates: Tensor) -> dict[str, Tensor]:
        """Return gradients of the variables for those of images, label probabilities and (shared) step sizes."""
        gradients = {"x": found.x, "log_rates": d_rates * self.log_rates.exp()}
        if self.learned and self.soft is not None:
            probabilities = self.soft.softmax(1)
            inner = (found.y * probabilities).sum(1, keepdim=True)
            gradients["soft"] = probabilities * (found.y - inner)
        return gradients

    def set(
        self, task: Task, method: Any, seed: int, schedule: Schedule | None, provenance: dict[str, Any]
    ) -> DistilledSet:
        """Return the present set, with the training that it is for, if there is one of its own."""
        began = "noise" if self.chosen is None else self.chosen.tolist()
        made = made_images(task, method, seed, self.x, self.y, self.soft, 1.0, {"began at": began, **provenance})
        return replace(made, schedule=schedule)


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
        task: the data set.
        net: name of the network.
        seed: of the run.
        device: where they live.
        real_batch: members that judge a network.
        graphs: whether a GPU runs inner steps as CUDA graphs.
    """

    def __init__(
        self, task: Task, net: str, seed: int, device: torch.device, real_batch: int, graphs: str = "auto"
    ) -> None:
        self.task, self.seed, self.device, self.real_batch = task, seed, device, real_batch
        self.net = net_name(net, task)
        self.flat = Flat(build_net(self.net, task, seed).to(device))
        self.step = Step(self.flat, micro=MICRO.get(device.type), graphs=graphs)
        self.fit = task.fit.to(device)
        self.train = task.train.to(device)

    def weights(self, *key: int | str) -> Tensor:
        """Return fresh weights ``(P,)``, the same for the same key."""
        return Flat(build_net(self.net, self.task, *key)).start().to(self.device)

    def real(self, *key: int | str) -> tuple[Tensor, Tensor]:
        """Return a batch of real members outside the validation part, and their labels as probabilities."""
        draws = torch.randint(len(self.fit), (self.real_batch,), generator=generator(self.seed, "real", *key))
        members = self.train[self.fit[draws.to(self.device)]]
        return self.task.inputs(members.x), F.one_hot(members.y, len(self.task.classes)).float()

    def judge(self, *key: int | str) -> RealLoss:
        """Return the outer loss: that of real members."""
        return RealLoss(self.step, *self.real(*key))

    def accuracy(self, theta: Tensor) -> float:
        """Return the accuracy, a fraction, of a network with the parameters theta on the validation part."""
        return float((self.validated(theta) == self.held.y).double().mean())

    def validated(self, theta: Tensor) -> Tensor:
        """Return the classes ``(V,)`` int64 that theta sees in the members of the validation part."""
        net: nn.Module = self.flat.load(theta)
        return predict(net, self.task, self.held.x, device=self.device).argmax(1)

    @property
    def held(self) -> Any:
        """The validation part, on the CPU."""
        return self.task.train[self.task.validation]

    def after(self, variables: Variables, schedule: Schedule, theta: Tensor) -> Tensor:
        """Return the parameters after following the schedule on the present set from theta ``(P,)``."""
        return schedule.follow(self.step, variables.x, variables.targets, theta)


def modes(wanted: str) -> tuple[str, ...]:
    """Return the engine's modes to choose from: ``auto`` stands for all."""
    return MODES if wanted == "auto" else (wanted,)


def packed_mode(mode: str) -> Tensor:
    """Return a mode of the engine as a number, for a checkpoint."""
    return torch.tensor(MODES.index(mode))


def balanced_order(budget: int, batches: int, epochs: int, device: torch.device) -> Tensor:
    """Return which members each step takes: ``(batches * epochs, budget / batches)`` int64.

    Members stand class after class in turn, so that consecutive ones share the classes evenly.

    Raises:
        UsageError: the budget cannot be shared so.
    """
    if budget % batches:
        raise UsageError(f"--budget {budget} cannot be cut into {batches} equal batches (--batches)")
    return torch.arange(budget, device=device).view(batches, -1).repeat(epochs, 1)


def _select(name: str, task: Task, budget: int, teacher: Teacher | None, seed: int, device: torch.device) -> Tensor:
    selector = SELECTORS[name]()
    if selector.needs_teacher and teacher is None:
        raise UsageError(f"--images {name} needs --teacher RUN_DIR")
    chosen: Tensor = selector.select(Choice(task, task.fit, budget, seed, device, teacher))
    return chosen


def _in_turn(task: Task, chosen: Tensor) -> Tensor:
    """Order members so that the classes take turns."""
    y = task.train.y[chosen]
    classes = len(task.classes)
    counts = torch.bincount(y, minlength=classes)
    if not bool((counts == counts[0]).all()):
        raise UsageError(f"the classes do not share {len(chosen)} members evenly")
    by_class = y.argsort(stable=True).view(classes, -1)
    return chosen[by_class.T.flatten()]


def _first_labels(
    chosen: Tensor | None, y: Tensor, classes: int, temperature: float, teacher: Teacher | None
) -> Tensor:
    """Return the logits of soft labels to begin with: the teacher's, else nearly hard ones."""
    if teacher is not None and chosen is not None:
        logits = teacher.logits[chosen].to(y.device) / temperature
        return logits - logits.mean(1, keepdim=True)
    return F.one_hot(y, classes).float() * 6.0
