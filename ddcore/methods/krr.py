"""krr: images and labels learned through kernel ridge regression with a kernel that nothing has been trained for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddcore.data import Examples, at_hand, batch_of, gathered
from ddcore.draws import generator
from ddcore.methods.matching import GRAPH, SECOND
from ddcore.methods.tangent_kernel import tangent_features
from ddcore.nets import build_net, net_name, solve_ridged
from ddcore.options import group, option
from ddcore.problem import Problem
from ddcore.runtime import JSONObject, Session
from ddcore.selection import SELECTORS, starting_members
from ddcore.sets import DistilledSet
from ddcore.synthesis import Group, Method, Part, Shard, Synthesis, TrainedValidation
from ddcore.training import Labels

KERNELS = ("features", "ntk")
# Members whose features are computed at once.
MICRO = 100

Network = tuple[nn.Module, Tensor]


@dataclass(frozen=True)
class KRR(Method):
    """Kernel inducing points: ridge regression from the set, with a random network's kernel, predicts real members.

    The kernel is that of fresh networks, drawn for each step and never trained: the inner products of their features,
    or of their answers' derivatives in the weights (the tangent kernel). The squared error of the regression on a
    batch of real members is followed back into the images and the labels.

    Source: Nguyen, Chen & Lee 2021, eq. 4; features of finite networks: Loo et al. 2022. Deviates: the tangent kernel
    is a finite network's, of one random combination of its outputs; the regression has a constant of its own; labels
    are the probabilities that a student learns, and with a teacher so are the targets.
    """

    name: ClassVar[str] = "krr"
    precision: ClassVar[str] = "ieee"

    steps: int = option(600, "outer steps", low=1)
    kernel: str = option("features", "of random networks: of their features, or their tangent kernel", choices=KERNELS)
    net: str = option("convnet", "kind of the random networks")
    networks: int = option(4, "random networks of a kernel, which is the sum of theirs", low=1)
    shards: int = option(1, "kernels per step, each with its own real members; processes share them out", low=1)
    init: str = option(
        "auto",
        f"selector of the members that the images start as ({', '.join(SELECTORS)}); auto: k-means with a teacher, "
        "otherwise random",
        flags="init images",
    )
    labels: Labels = group(Labels("learned"), hide=("teacher_share",))
    real_batch: int = option(500, "real members that a step's regression has to predict", low=1)
    ridge: float = option(0.01, "strength of the ridge, as a fraction of the kernel's mean diagonal", low=1e-9)
    image_rate: float = option(0.01, "learning rate of the images, in standard deviations of a pixel", low=0)
    label_rate: float = option(0.01, "learning rate of the labels, in logits", low=0)
    validation: TrainedValidation = group(TrainedValidation())

    def quick(self) -> "KRR":
        """Return these options at toy length."""
        return replace(
            self,
            steps=min(self.steps, 4),
            networks=1,
            real_batch=min(self.real_batch, 50),
            validation=self.validation.quick(),
        )

    def start(self, problem: Problem, session: Session) -> "KRRRun":
        """Return real members with their first labels.

        Raises:
            UsageError: a name is unknown, or a teacher is missing.
        """
        return KRRRun(self, problem, session)


class KRRRun(Synthesis):
    """One run. A shard is one regression: the kernels of its networks are added before it is solved.

    Attributes:
        x: ``(N, C, H, W)`` float32, normalised; moved by the outer loop.
        y: ``(N,)`` int64.
        soft: ``(N, K)`` float32 logits of the labels, moved where they are learned; None for hard labels.
        temperature: of the labels and the targets.
    """

    method: KRR

    def __init__(self, method: KRR, problem: Problem, session: Session) -> None:
        super().__init__(method, problem, session)
        task, device, teacher = problem.task, problem.device, problem.teacher
        self.net, self.validation_net = net_name(method.net, task), net_name("default", task)
        method.labels.need(teacher)
        features = teacher is not None and teacher.features is not None
        init = ("k-means" if features else "random") if method.init == "auto" else method.init
        self.chosen = starting_members(init, problem, session)
        self.real, self.fit = at_hand(task.train, device), task.fit
        members = batch_of(self.real, self.chosen)
        self.x, self.y = task.inputs(members.x).clone(), members.y
        self.teacher = teacher if method.labels.kind != "hard" else None
        self.answers = None if self.teacher is None else self.teacher.logits.to(device)
        self.temperature = 1.0 if self.teacher is None else method.labels.temperature
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
        return self.method.labels.kind == "learned"

    def shards(self, step: int) -> Sequence[Shard]:
        """Return the regressions of a step."""
        return [Shard(step, part) for part in range(self.method.shards)]

    def gradient(self, shard: Shard) -> Part:
        """Return the gradients of the regression's squared error on a batch of real members.

        First all features without a graph, then the error's gradient in them, then that one's way back into the
        images, some members at a time: only the features are ever held for all members.
        """
        nets, device = self._networks(shard), self.problem.device
        draws = generator(self.problem.seed, "real", shard.step, shard.part)
        members = self.fit[torch.randint(len(self.fit), (self.method.real_batch,), generator=draws)]
        batch = members.to(device)
        real = self._feature_rows(self.problem.task.inputs(gathered(self.real.x, members, device)), nets)
        own = self._feature_rows(self.x.detach(), nets).requires_grad_()
        soft = None if self.soft is None else self.soft.detach().requires_grad_(self.learned)
        labels = self._probabilities(soft, self.y)
        target = self._probabilities(None if self.answers is None else self.answers[batch], self.real.y[batch])
        answers = kernel_ridge(own @ own.T, real @ own.T, labels, self.method.ridge)
        loss = (answers - target).square().sum(1).mean()
        wanted = [own, soft] if self.learned and soft is not None else [own]
        slopes = torch.autograd.grad(loss, wanted)
        gradients = {"x": self._pulled(slopes[0], nets)}
        if len(slopes) > 1:
            gradients["soft"] = slopes[1]
        right = (answers.argmax(1) == self.real.y[batch]).float().mean()
        return Part(gradients, {"loss": float(loss.detach()), "accuracy": float(right)})

    @property
    def micro(self) -> int:
        """Members whose features are computed at once."""
        return min(MICRO, self.chunk or MICRO)

    def widest(self) -> tuple[int, float]:
        """Return the members whose features are computed at once, and the bytes for each of them."""
        return MICRO, (SECOND if self.method.kernel == "ntk" else GRAPH) * self.kept(self.net)

    def step_operations(self) -> float:
        """Return about how many operations an outer step takes: the features, and the way back to the images."""
        method = self.method
        answers = (method.real_batch + 4 * self.problem.budget) * (3 if method.kernel == "ntk" else 1)
        return method.shards * method.networks * answers * self.operations(self.net)

    def score(self, seed: int) -> float:
        """Return the validation accuracy, a fraction, of a fresh default network trained on the present set."""
        soft = None if self.soft is None else self.soft.detach()
        examples = Examples(self.x.detach(), self.y, soft, self.temperature)
        return self.trained_accuracy(examples, seed)

    def decode(self, notes: JSONObject | None = None) -> DistilledSet:
        """Return the present set."""
        teacher = {} if self.teacher is None else {"teacher": self.teacher.net}
        provenance = {"began at": self.chosen.tolist(), **teacher, **(notes or {})}
        return self.image_set(self.x, self.y, self.soft, self.temperature, provenance)

    def _first_labels(self) -> Tensor | None:
        """Return the logits of the first labels: the teacher's, otherwise hard ones with a tenth spread over all."""
        if self.method.labels.kind == "hard":
            return None
        if self.answers is not None:
            logits = self.answers[self.chosen.to(self.problem.device)]
            return logits - logits.mean(1, keepdim=True)
        classes = len(self.problem.task.classes)
        return (0.9 * F.one_hot(self.y, classes) + 0.1 / classes).log()

    def _probabilities(self, logits: Tensor | None, y: Tensor) -> Tensor:
        hard = F.one_hot(y, len(self.problem.task.classes)).to(self.x.dtype)
        return hard if logits is None else (logits / self.temperature).softmax(1)

    def _networks(self, shard: Shard) -> list[Network]:
        """Return a part's fresh networks, each with the combination of its outputs whose derivative counts."""
        nets, task, seed = [], self.problem.task, self.problem.seed
        for k in range(self.method.networks):
            key = (shard.step, shard.part, k)
            net = build_net(self.net, task, seed, "kernel", *key).to(self.problem.device).eval()
            draws = generator(seed, "outputs", *key)
            signs = 2 * torch.randint(2, (len(task.classes),), generator=draws) - 1
            nets.append((net, signs.to(self.x)))
        return nets

    def _features(self, net: Any, signs: Tensor, x: Tensor) -> Tensor:
        rows: Tensor = tangent_features(net, x, signs) if self.method.kernel == "ntk" else net.features(x)
        return rows

    def _feature_rows(self, x: Tensor, nets: list[Network]) -> Tensor:
        """Return the features of all networks side by side: ``(N, D)``, without a graph."""
        with torch.no_grad():
            return torch.cat(
                [torch.cat([self._features(*net, part) for part in x.split(self.micro)]) for net in nets], 1
            )

    def _pulled(self, slope: Tensor, nets: list[Network]) -> Tensor:
        """Return the gradient in the images of what has the gradient `slope` ``(N, D)`` in their features."""
        gradients = []
        for part, up in zip(self.x.detach().split(self.micro), slope.split(self.micro), strict=True):
            part.requires_grad_()
            rows = torch.cat([self._features(*net, part) for net in nets], 1)
            gradients.append(torch.autograd.grad(rows, part, up)[0])
        return torch.cat(gradients)


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
    return across @ solve_ridged(ridged, labels - level) + level
