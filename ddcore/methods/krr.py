"""krr: images and labels learned through kernel ridge regression with a kernel that nothing has been trained for."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ddcore.data import Examples, Task
from ddcore.draws import generator
from ddcore.errors import UsageError
from ddcore.methods.tangent_kernel import tangent_features
from ddcore.nets import build_net, net_name
from ddcore.options import option
from ddcore.selection import SELECTORS, Choice
from ddcore.sets import DistilledSet
from ddcore.synthesis import Group, Part, made_images
from ddcore.training import Setting, Teacher, small_recipe, validated

KERNELS = ("features", "ntk")
IMAGES = ("auto", "random", "k-means", "herding", "k-center")
LABELS = ("learned", "soft", "hard")
# Members whose features are computed at once.
MICRO = 100


@dataclass(frozen=True)
class KRR:
    """Kernel inducing points: ridge regression from the set, with a random network's kernel, predicts real members.

    The kernel is that of fresh networks, drawn anew each step and never trained: the inner products of their features,
    or of their answers' derivatives in the weights (the tangent kernel). The squared error of the regression on a
    batch of real members is followed back into the images and the labels.

    Source: Nguyen, Chen & Lee 2021, eq. 4; features of finite networks: Loo et al. 2022. Deviates: the tangent kernel
    is a finite network's, of one random combination of its outputs; the regression has a constant of its own; labels
    are the probabilities that a student learns, and with a teacher so are the targets.
    """

    kinds: ClassVar[tuple[str, ...]] = ("images",)
    needs_teacher: ClassVar[bool] = False

    steps: int = option(600, "outer steps", low=1)
    kernel: str = option("features", "of random networks: of their features, or their tangent kernel", choices=KERNELS)
    net: str = option("convnet", "kind of the random networks")
    networks: int = option(4, "random networks a kernel, which is the sum of theirs", low=1)
    shards: int = option(1, "kernels a step, each with real members of its own; processes share them out", low=1)
    images: str = option(
        "auto", "real members that the images begin as; auto: k-means with a teacher, else random", choices=IMAGES
    )
    labels: str = option("learned", "learned: like the images; soft: a teacher's, fixed", choices=LABELS)
    temperature: float = option(4.0, "of a teacher's labels", low=0.01)
    real_batch: int = option(500, "real members that a step's regression has to predict", low=1)
    ridge: float = option(0.01, "strength of the ridge, as a fraction of the kernel's mean diagonal", low=1e-9)
    image_rate: float = option(0.01, "learning rate of the images, in standard deviations of a pixel", low=0)
    label_rate: float = option(0.01, "learning rate of the labels, in logits", low=0)
    checks: int = option(4, "validations on the way, besides the first", low=1)
    check_networks: int = option(2, "fresh networks a validation", low=1)
    check_steps: int = option(400, "training steps of each of them", low=1)

    def quick(self) -> "KRR":
        """Return these options at toy length."""
        return replace(
            self,
            steps=min(self.steps, 4),
            networks=1,
            real_batch=min(self.real_batch, 50),
            checks=1,
            check_networks=1,
            check_steps=min(self.check_steps, 20),
        )

    def start(self, task: Task, budget: int, teacher: Teacher | None, seed: int, device: torch.device) -> "KRRRun":
        """Return real members with their first labels.

        Raises:
            UsageError: a name is unknown, the budget cannot be had, or a teacher is missing.
        """
        return KRRRun(self, task, budget, teacher, seed, device)


@dataclass(frozen=True)
class Shard:
    """One regression of a step: the kernels of its networks are added before it is solved."""

    step: int
    part: int = 0


class KRRRun:
    """One run.

    Attributes:
        x: ``(N, C, H, W)`` float32, normalised; moved by the outer loop.
        y: ``(N,)`` int64.
        soft: ``(N, K)`` float32 logits of the labels, moved where they are learned; None for hard labels.
        temperature: of the labels and the targets.
    """

    def __init__(
        self, method: KRR, task: Task, budget: int, teacher: Teacher | None, seed: int, device: torch.device
    ) -> None:
        self.method, self.task, self.seed, self.device = method, task, seed, device
        self.net = net_name(method.net, task)
        seen = teacher is not None and teacher.features is not None
        images = ("k-means" if seen else "random") if method.images == "auto" else method.images
        selector = SELECTORS[images]()
        if teacher is None and (selector.needs_teacher or method.labels == "soft"):
            raise UsageError(f"--images {images} with --labels {method.labels} needs --teacher RUN_DIR")
        self.chosen: Tensor = selector.select(Choice(task, task.fit, budget, seed, device, teacher))
        self.real, self.fit = task.train.to(device), task.fit
        members = self.real[self.chosen.to(device)]
        self.x, self.y = task.inputs(members.x).clone(), members.y
        self.teacher = teacher if method.labels != "hard" else None
        self.answers = None if self.teacher is None else self.teacher.logits.to(device)
        self.temperature = 1.0 if self.teacher is None else method.temperature
        self.soft = self._first_labels()
        # A network that has no such features says so here, before the first validation.
        self._feature_rows(self.x[:1].detach(), self._networks(Shard(0)))

    @property
    def groups(self) -> dict[str, Group]:
        """The images ``x`` and, if they are learned, the label logits ``soft``."""
        groups = {"images": Group({"x": self.x}, self.method.image_rate)}
        if self.learned and self.soft is not None:
            groups["labels"] = Group({"soft": self.soft}, self.method.label_rate)
        return groups

    @property
    def learned(self) -> bool:
        """Whether labels move."""
        return self.method.labels == "learned"

    def shards(self, step: int) -> list[Shard]:
        """Return the regressions of a step."""
        return [Shard(step, part) for part in range(self.method.shards)]

    def gradient(self, shard: Shard) -> Part:
        """Return the gradients of the regression's squared error on a batch of real members.

        First all features without a graph, then the error's gradient in them, then that one's way back into the
        images, some members at a time: only the features are ever held for all members.
        """
        nets = self._networks(shard)
        draws = generator(self.seed, "real", shard.step, shard.part)
        batch = self.fit[torch.randint(len(self.fit), (self.method.real_batch,), generator=draws)].to(self.device)
        real = self._feature_rows(self.task.inputs(self.real.x[batch]), nets)
        made = self._feature_rows(self.x.detach(), nets).requires_grad_()
        soft = None if self.soft is None else self.soft.detach().requires_grad_(self.learned)
        labels = self._probabilities(soft, self.y)
        target = self._probabilities(None if self.answers is None else self.answers[batch], self.real.y[batch])
        answers = kernel_ridge(made @ made.T, real @ made.T, labels, self.method.ridge)
        loss = (answers - target).square().sum(1).mean()
        wanted = [made, soft] if self.learned and soft is not None else [made]
        slopes = torch.autograd.grad(loss, wanted)
        gradients = {"x": self._pulled(slopes[0], nets)}
        if len(slopes) > 1:
            gradients["soft"] = slopes[1]
        right = (answers.argmax(1) == self.real.y[batch]).float().mean()
        return Part(gradients, {"loss": float(loss.detach()), "accuracy": float(right)})

    def absorb(self, shard: Shard, update: dict[str, Tensor]) -> None:
        """Do nothing: no network outlives its step."""

    def score(self, seed: int) -> float:
        """Return the validation accuracy, a fraction, of a fresh default network trained on the present set."""
        name = net_name("default", self.task)
        recipe = replace(small_recipe(self.task, name, "cpu"), steps=self.method.check_steps)
        net = build_net(name, self.task, self.seed, "validation", seed)
        soft = None if self.soft is None else self.soft.detach()
        examples = Examples(self.x.detach(), self.y, soft, self.temperature)
        return validated(net, self.task, examples, recipe, Setting(seed=seed, device=self.device))

    def decode(self) -> DistilledSet:
        """Return the present set."""
        teacher = {} if self.teacher is None else {"teacher": self.teacher.net}
        told = {"began at": self.chosen.tolist(), **teacher}
        return made_images(self.task, self.method, self.seed, self.x, self.y, self.soft, self.temperature, told)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the variables."""
        return {k: v for group in self.groups.values() for k, v in group.variables.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put such a state in place."""
        for name, variable in self.state_dict().items():
            variable.copy_(state[name])

    def _first_labels(self) -> Tensor | None:
        """Return the logits of the first labels: the teacher's, else hard ones with a tenth spread over all classes."""
        if self.method.labels == "hard":
            return None
        if self.answers is not None:
            logits = self.answers[self.chosen.to(self.device)]
            return logits - logits.mean(1, keepdim=True)
        classes = len(self.task.classes)
        return (0.9 * F.one_hot(self.y, classes) + 0.1 / classes).log()

    def _probabilities(self, logits: Tensor | None, y: Tensor) -> Tensor:
        hard = F.one_hot(y, len(self.task.classes)).to(self.x.dtype)
        return hard if logits is None else (logits / self.temperature).softmax(1)

    def _networks(self, shard: Shard) -> list[tuple[Any, Tensor]]:
        """Return a part's fresh networks, each with the combination of its outputs whose derivative counts."""
        found = []
        for k in range(self.method.networks):
            key = (shard.step, shard.part, k)
            net = build_net(self.net, self.task, self.seed, "kernel", *key).to(self.device).eval()
            draws = generator(self.seed, "outputs", *key)
            signs = 2 * torch.randint(2, (len(self.task.classes),), generator=draws) - 1
            found.append((net, signs.to(self.x)))
        return found

    def _features(self, net: Any, signs: Tensor, x: Tensor) -> Tensor:
        found: Tensor = tangent_features(net, x, signs) if self.method.kernel == "ntk" else net.features(x)
        return found

    def _feature_rows(self, x: Tensor, nets: list[tuple[Any, Tensor]]) -> Tensor:
        """Return the features of all networks side by side: ``(N, D)``, without a graph."""
        with torch.no_grad():
            return torch.cat([torch.cat([self._features(*net, part) for part in x.split(MICRO)]) for net in nets], 1)

    def _pulled(self, slope: Tensor, nets: list[tuple[Any, Tensor]]) -> Tensor:
        """Return the gradient in the images of what has the gradient `slope` ``(N, D)`` in their features."""
        found = []
        for part, up in zip(self.x.detach().split(MICRO), slope.split(MICRO), strict=True):
            part.requires_grad_()
            rows = torch.cat([self._features(*net, part) for net in nets], 1)
            found.append(torch.autograd.grad(rows, part, up)[0])
        return torch.cat(found)


def kernel_ridge(k_ss: Tensor, k_rs: Tensor, labels: Tensor, strength: float) -> Tensor:
    """Return what kernel ridge regression, fitted to the synthetic set, answers on real members: ``(B, C)``.

    Kernel and labels are centred on the synthetic set, which is a constant without a penalty.

    Args:
        k_ss: ``(N, N)``, the kernel among the synthetic members.
        k_rs: ``(B, N)``, between real and synthetic ones.
        labels: ``(N, C)``.
        strength: of the ridge, in units of the centred kernel's mean diagonal.

    Source: Nguyen, Chen & Lee 2021, eq. 4. Deviates: the centring.
    """
    column, level = k_ss.mean(0), labels.mean(0)
    centred = k_ss - column - column[:, None] + column.mean()
    across = k_rs - column - k_rs.mean(1, keepdim=True) + column.mean()
    n = len(k_ss)
    penalty = strength * centred.diagonal().sum() / n
    ridged = centred + penalty * torch.eye(n, dtype=k_ss.dtype, device=k_ss.device)
    return across @ torch.linalg.solve(ridged, labels - level) + level
