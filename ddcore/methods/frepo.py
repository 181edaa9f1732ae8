"""FRePo: images and labels learned through ridge regression on the features of a pool of networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ddcore.data import Examples, Task, at_hand, batch_of, gathered, logits_of, shift_and_flip
from ddcore.draws import generator, permutation
from ddcore.errors import UsageError
from ddcore.kernels import soft_cross_entropy
from ddcore.methods.features import embedded
from ddcore.methods.frepo_pool import Member, Turns
from ddcore.methods.matching import GRAPH
from ddcore.nets import build_net, need_features, net_name, solve_ridged
from ddcore.options import group, later, option
from ddcore.problem import Problem
from ddcore.runtime import JSONObject, Session, packed, sent, under
from ddcore.selection import SELECTORS, starting_members
from ddcore.sets import DistilledSet
from ddcore.synthesis import Group, Method, Part, Preset, Shard, Synthesis, TrainedValidation
from ddcore.training import PublishedRecipe, Recipe, memory_format, small_image_recipe

YOUNG = 10
CROSS_ENTROPY, SQUARED = "cross-entropy", "squared error"
ONLINE = PublishedRecipe(
    *(1, 500, "adam", 3e-4, 0.9, 0.0, "constant", 1, "squared error", "drawn", "frepo", ()),
)
"""How the paper's code trains the networks of the pool."""


def paper(task: Task, ipc: int) -> Mapping[str, Any]:
    """Return the option values of the paper's code where this method has them.

    The images move by Adam, not by LAMB, at a rate chosen by validation: after 200 steps, with centred features, 10
    images of Fashion-MNIST reach 68.3 % at 0.06, 71.3 % at 0.2 and 70.8 % at 0.6, by one network. The ridge is larger,
    because float32 cannot solve a system of few members with the code's.
    """
    return {
        "steps": 500000,
        "init": "random",
        "loss": SQUARED,
        "nets": "convnet-frepo",
        "pool": 10,
        "networks": 1,
        "life": 100,
        "real_batch": 1024,
        "image_rate": 0.3,
        "ridge": 0.1,
        "label_rate": 0.02,
        "validation_networks": 0,
    }


@dataclass(frozen=True)
class Pool:
    """The networks whose features the regression is on."""

    nets: str = option("convnet,default", "kinds of networks in the pool, with commas between")
    size: int = option(4, "networks of each kind", low=1, high=1000, flags="pool")
    networks: int = option(1, "networks of each kind per step; never more than there are", low=1)
    life: int = option(100, "training steps after which a network is replaced by a fresh one", low=YOUNG + 1)


@dataclass(frozen=True)
class FRePo(Method):
    """Learned images and labels: ridge regression from them, on a pool's features, has to predict real members.

    One outer step takes a network of each kind out of the pool. The synthetic set is the training set of
    a ridge regression on that network's features; its loss on a batch of real members is followed back into the
    images and labels. Then the network is trained on the synthetic set for one step, as a student would be.

    Source: Zhou, Nezhadarya & Ba 2022. Deviates: labels are logits that start at the teacher's and the loss is
    cross-entropy; the pool mixes kinds of networks, each on a short annealed training of its own; the images start
    at members near k-means centres. With the preset ``paper`` there is no teacher, the loss is the squared error to
    centred labels, which may be any numbers, and the pool is the paper's.
    """

    name: ClassVar[str] = "frepo"
    precision: ClassVar[str] = "ieee"
    presets: ClassVar[Mapping[str, Preset]] = {"paper": paper}

    steps: int = option(600, "outer steps", low=1)
    init: str = option("k-means", f"selector of the members that the images start as ({', '.join(SELECTORS)})")
    pool: Pool = group(Pool())
    real_batch: int = option(600, "real members that a step's regression has to predict", low=1)
    image_rate: float = option(0.01, "learning rate of the images, in standard deviations of a pixel", low=0)
    label_rate: float = option(
        0.05, "learning rate of the labels, in logits; with squared errors in their own unit", low=0
    )
    ridge: float = option(0.003, "strength of the ridge, as a fraction of the features' mean square", low=1e-9)
    temperature: float = option(4.0, "of the soft labels", low=0.01)
    teacher_share: float = option(
        0.5, "how much of a real member's target is the teacher's, not the data's", low=0, high=1
    )
    loss: str = later(
        option(
            CROSS_ENTROPY,
            "of the regression: cross-entropy, with a teacher; or squared error to centred labels, without one",
            choices=(CROSS_ENTROPY, SQUARED),
        )
    )
    validation: TrainedValidation = group(TrainedValidation.usual(2, 2))

    def needs_teacher(self, kind: str) -> bool:
        """Return whether the labels start as its answers."""
        return self.loss == CROSS_ENTROPY

    def quick(self) -> "FRePo":
        """Return these options at toy length."""
        validation = replace(self.validation.quick(), steps=min(self.validation.steps, 40))
        return replace(self, steps=min(self.steps, 8), pool=replace(self.pool, size=1), validation=validation)

    def start(self, problem: Problem, session: Session) -> "FRePoRun":
        """Return real members with the teacher's labels, and a young pool.

        Raises:
            UsageError: there is no teacher with features, or a network is unknown.
        """
        return FRePoRun(self, problem, session)


class FRePoRun(Synthesis):
    """One run: the variables and the pool, each network of which is a dictionary of tensors, its ``age`` among them.

    A shard is one network's part of a step.
    """

    method: FRePo

    def __init__(self, method: FRePo, problem: Problem, session: Session) -> None:
        super().__init__(method, problem, session)
        self.squared = method.loss == SQUARED
        if problem.teacher is None and not self.squared:
            raise UsageError("frepo needs a teacher: give --teacher the run folder of train_baseline.py --part fit")
        task, device, self.teacher = problem.task, problem.device, None if self.squared else problem.teacher
        self.chosen = chosen = starting_members(method.init, problem, session)
        self.kinds = [net_name(name.strip(), task) for name in method.pool.nets.split(",")]
        self.validation_net = net_name("default", task)
        self.recipes_of: dict[str, Recipe | PublishedRecipe] = {
            kind: ONLINE if self.squared else replace(small_image_recipe(task, kind, "cpu"), steps=method.pool.life)
            for kind in self.kinds
        }
        self.real = at_hand(task.train, device)
        self.answers = None if self.teacher is None else self.teacher.logits.to(device)
        # Of many classes, the targets of a batch only are made.
        self.targets = self._targets(slice(None)) if isinstance(self.answers, Tensor) else None
        self.fit = task.fit
        members = batch_of(self.real, chosen)
        self.y = members.y
        self.x = task.inputs(members.x).clone()
        self.soft = self._first_labels(chosen.to(device))
        self.black = task.inputs(torch.zeros(1, self.x.shape[1], 1, 1, dtype=torch.uint8, device=device))[0]
        self.turns: dict[str, Turns] = {}
        for kind, recipe in self.recipes_of.items():
            net = build_net(kind, task, 0).to(device)
            need_features(net, kind, "frepo")
            self.turns[kind] = Turns(net, task, self._examples(), recipe, problem.seed)
        self.members = [self._born(k, 0) for k in range(len(self.kinds) * method.pool.size)]

    def _first_labels(self, chosen: Tensor) -> Tensor:
        """Return the labels that members begin with: the teacher's logits, or their classes' regression targets."""
        if self.answers is None:
            return self._targets_of(self.y)
        labels = self.answers[chosen]
        return labels - labels.mean(1, keepdim=True)

    def _targets_of(self, y: Tensor) -> Tensor:
        """Return the regression targets of classes ``(K,)`` int64: one-hot, centred."""
        classes = len(self.problem.task.classes)
        return F.one_hot(y, classes) - 1 / classes

    @property
    def groups(self) -> dict[str, Group]:
        """The images ``x`` and the labels ``soft``: logits, or regression targets where the error is squared."""
        return {
            "images": Group({"x": self.x}, self.method.image_rate),
            "labels": Group({"soft": self.soft}, self.method.label_rate),
        }

    def shards(self, step: int) -> Sequence[Shard]:
        """Return some networks of each kind, drawn from the pool without repeats."""
        kinds, pool = len(self.kinds), self.method.pool
        places = [
            permutation(pool.size, self.problem.seed, "pool", step, kind)[: pool.networks].tolist()
            for kind in range(kinds)
        ]
        return [
            Shard(step, kinds * place + kind) for each in zip(*places, strict=True) for kind, place in enumerate(each)
        ]

    def gradient(self, shard: Shard) -> Part:
        """Return the gradients of the regression's loss, and the network after its training step."""
        kind, state = self.kinds[shard.part % len(self.kinds)], self.members[shard.part]
        task, seed, device, turns = self.problem.task, self.problem.seed, self.problem.device, self.turns[kind]
        turns.put(state)
        net: Any = turns.net.eval()
        draws = generator(seed, "real", shard.step, shard.part)
        members = self.fit[torch.randint(len(self.fit), (self.method.real_batch,), generator=draws)]
        batch, recipe = sent(members, device), turns.recipe

        def changed(x: Tensor) -> Tensor:
            flip = isinstance(recipe, Recipe) and recipe.changes.flip
            x = shift_and_flip(x, 0, True, self.black, draws) if flip else x
            return x.contiguous(memory_format=memory_format(net))

        with torch.no_grad():
            real = self._features(net, changed(task.inputs(gathered(self.real.x, members, device))))
        x, soft = self.x.detach().requires_grad_(), self.soft.detach().requires_grad_()
        targets = self._targets(batch) if self.targets is None else self.targets[batch]
        own = self._features(net, changed(x))
        answers = regress(own, soft, real, self.method.ridge, centred=not self.squared)
        if self.squared:
            loss = F.mse_loss(answers, targets) / 2 + margin_loss(soft)
        else:
            loss = soft_cross_entropy(answers, targets).mean()
        of_x, of_soft = torch.autograd.grad(loss, [x, soft])
        right = (answers.argmax(1) == self.real.y[batch]).float().mean()
        values = dict(zip(("loss", "accuracy"), torch.stack([loss.detach(), right]).tolist(), strict=True))
        return Part({"x": of_x, "soft": of_soft}, values, self._older(shard))

    def _targets(self, members: Tensor | slice) -> Tensor:
        """Return what the regression shall answer on real members: ``(K, C)``, a mix of soft and hard labels.

        Without a teacher: hard labels, centred.
        """
        if self.answers is None:
            return self._targets_of(self.real.y[members])
        soft, share = self.answers[members].softmax(1), self.method.teacher_share
        return share * soft + (1 - share) * F.one_hot(self.real.y[members], soft.shape[1])

    def _features(self, net: Any, x: Tensor) -> Tensor:
        """Return the features of members ``(N, D)``, in chunks where there are any."""
        if self.chunk:
            return embedded(net, x, self.chunk)
        rows: Tensor = net.features(x).flatten(1)
        return rows

    def widest(self) -> tuple[int, float]:
        """Return the members of a regression, real or synthetic, and the bytes for each of them."""
        each = GRAPH * max(map(self.kept, self.kinds))
        return max(self.method.real_batch, len(self.y)), each

    def absorb(self, shard: Shard, update: dict[str, Tensor]) -> None:
        """Put the trained network, or the fresh one that takes its place, into the pool."""
        self.members[shard.part] = {name: tensor.to(self.problem.device) for name, tensor in update.items()}

    def step_operations(self) -> float:
        """Return about how many operations an outer step takes: the regressions' networks, and their training steps."""
        budget = self.problem.budget
        answers = self.method.real_batch + 3 * budget + 3 * min(budget, self.recipes_of[self.kinds[0]].batch_size)
        return self.method.pool.networks * sum(map(self.operations, self.kinds)) * answers

    def score(self, seed: int) -> float:
        """Return the validation accuracy, a fraction, of a fresh default network trained on the present set."""
        return self.trained_accuracy(self._examples(), seed)

    def decode(self, notes: JSONObject | None = None) -> DistilledSet:
        """Return the present set."""
        teacher = {} if self.teacher is None else {"teacher": self.teacher.net}
        provenance = {**teacher, "began at": self.chosen.tolist(), **(notes or {})}
        temperature = 0.0 if self.squared else self.method.temperature
        return self.image_set(self.x, self.y, self.soft, temperature, provenance)

    def memory(self) -> dict[str, Tensor]:
        """Return the pool."""
        return packed({f"pool.{k}": member for k, member in enumerate(self.members)})

    def remember(self, state: dict[str, Tensor]) -> None:
        """Put such a state in place."""
        device = self.problem.device
        self.members = [
            {name: tensor.to(device) for name, tensor in under(f"pool.{k}", state).items()}
            for k in range(len(self.members))
        ]

    def _examples(self) -> Examples:
        x, soft = self.x.detach(), self.soft.detach()
        if self.squared:
            return Examples(x, self.y, logits_of(soft), regression=soft)
        return Examples(x, self.y, soft, self.method.temperature)

    def _born(self, member: int, step: int) -> Member:
        """Return a fresh network after its first few training steps, so that its norms know the data."""
        kind = self.kinds[member % len(self.kinds)]
        fresh = build_net(kind, self.problem.task, self.problem.seed, "pool", member, step)
        self.turns[kind].begin(fresh.to(self.problem.device))
        return self.turns[kind].train(0, YOUNG, (member, step, 0))

    def _older(self, shard: Shard) -> Member:
        """Return the network that is in place after one more training step, or a fresh one where it is too old."""
        age = int(self.members[shard.part]["age"])
        if age + 1 >= self.method.pool.life:
            return self._born(shard.part, shard.step + 1)
        return self.turns[self.kinds[shard.part % len(self.kinds)]].train(age, 1, (shard.part, shard.step, 1))


def margin_loss(labels: Tensor) -> Tensor:
    """Return how little labels ``(N, C)`` prefer their first class: less the mean margin, which counts up to 1 / C.

    Source: the label loss of Zhou et al. 2022, in their code.
    """
    first, second = labels.topk(2, 1).values.unbind(1)
    return -(first - second).clamp(max=1 / labels.shape[1]).mean()


def regress(features: Tensor, labels: Tensor, real: Tensor, strength: float, centred: bool = True) -> Tensor:
    """Return what ridge regression, fitted to the synthetic set, answers on real members.

    Solved in the smaller of the two forms, whose answers are equal: over the D features, or over the N members (the
    kernel form of the paper).

    Args:
        features: ``(N, D)`` float32 of the synthetic set; carries the graph to the images.
        labels: ``(N, C)`` float32.
        real: ``(B, D)`` float32 of the real members.
        strength: of the ridge, in units of the features' squares summed over the members and averaged over the
            dimensions.
        centred: whether features and labels are centred on the synthetic set, which is a bias without a penalty.

    Returns:
        ``(B, C)`` float32.

    Source: Zhou et al. 2022, eq. 5. Deviates: the centring, and the unit of the ridge.
    """
    if centred:
        centre, level = features.mean(0), labels.mean(0)
    else:
        centre, level = features.new_zeros(features.shape[1]), labels.new_zeros(labels.shape[1])
    a, b = features - centre, labels - level
    n, d = a.shape
    penalty = strength * a.detach().square().sum() / d
    if d < n:
        weights = solve_ridged(a.T @ a + penalty * torch.eye(d, device=a.device), a.T @ b)
    else:
        weights = a.T @ solve_ridged(a @ a.T + penalty * torch.eye(n, device=a.device), b)
    return torch.addmm(level, real - centre, weights)
