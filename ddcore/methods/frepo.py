"""FRePo: images and labels learned through ridge regression on the features of a pool of networks."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddcore.data import Examples, Task, shift_and_flip
from ddcore.draws import generator, permutation
from ddcore.errors import UsageError
from ddcore.nets import build_net, need_features, net_name
from ddcore.options import option
from ddcore.selection import Choice, KMeans
from ddcore.sets import DistilledSet
from ddcore.synthesis import Group, Part, made_images
from ddcore.training import (
    Recipe,
    Setting,
    Teacher,
    build_optimiser,
    learning_rate_share,
    memory_format,
    small_image_recipe,
    small_recipe,
    step_loss,
    validated,
)

YOUNG = 10


@dataclass(frozen=True)
class FRePo:
    """Learned images and labels: ridge regression from them, on a pool's features, has to predict real members.

    One outer step takes a network of each kind out of the pool. The synthetic set is the training set of
    a ridge regression on that network's features; its loss on a batch of real members is followed back into the
    images and labels. Then the network is trained on the synthetic set for one step, as a student would be.

    Source: Zhou, Nezhadarya & Ba 2022. Deviates: labels are logits that start at the teacher's and the loss is
    cross-entropy; the pool mixes kinds of networks, each on a short annealed training of its own; the images begin
    at members near k-means centres.
    """

    kinds: ClassVar[tuple[str, ...]] = ("images",)
    needs_teacher: ClassVar[bool] = True

    steps: int = option(600, "outer steps", low=1)
    nets: str = option("convnet,default", "kinds of networks in the pool, with commas between")
    pool: int = option(4, "networks of each kind", low=1, high=1000)
    networks: int = option(1, "networks of each kind a step; never more than there are", low=1)
    life: int = option(100, "training steps after which a network is replaced by a fresh one", low=YOUNG + 1)
    real_batch: int = option(600, "real members that a step's regression has to predict", low=1)
    image_rate: float = option(0.01, "learning rate of the images, in standard deviations of a pixel", low=0)
    label_rate: float = option(0.05, "learning rate of the labels, in logits", low=0)
    ridge: float = option(0.003, "strength of the ridge, as a fraction of the features' mean square", low=1e-9)
    temperature: float = option(4.0, "of the soft labels", low=0.01)
    teacher_share: float = option(
        0.5, "how much of a real member's target is the teacher's, not the data's", low=0, high=1
    )
    checks: int = option(2, "validations on the way, besides the first", low=1)
    check_networks: int = option(2, "fresh networks a validation", low=1)
    check_steps: int = option(400, "training steps of each of them", low=1)

    def quick(self) -> "FRePo":
        """Return these options at toy length."""
        few = min(self.check_steps, 40)
        return replace(self, steps=min(self.steps, 8), pool=1, checks=1, check_networks=1, check_steps=few)

    def start(self, task: Task, budget: int, teacher: Teacher | None, seed: int, device: torch.device) -> "FRePoRun":
        """Return the k-means members with the teacher's labels, and a young pool.

        Raises:
            UsageError: there is no teacher with features, the budget cannot be had, or a network is unknown.
        """
        if teacher is None:
            raise UsageError("frepo needs a teacher: give --teacher the run folder of train_baseline.py --part fit")
        chosen = KMeans().select(Choice(task, task.fit, budget, seed, device, teacher))
        return FRePoRun(self, task, chosen, teacher, seed, device)


@dataclass(frozen=True)
class Shard:
    """One network's part of a step."""

    step: int
    member: int


class FRePoRun:
    """One run: the variables and the pool. Every network of the pool is a dict of tensors, ``age`` included."""

    def __init__(
        self, method: FRePo, task: Task, chosen: Tensor, teacher: Teacher, seed: int, device: torch.device
    ) -> None:
        self.method, self.task, self.seed, self.device = method, task, seed, device
        self.chosen, self.teacher = chosen, teacher
        self.kinds = [net_name(name.strip(), task) for name in method.nets.split(",")]
        self.recipes = {kind: replace(small_image_recipe(task, kind, "cpu"), steps=method.life) for kind in self.kinds}
        self.real = task.train.to(device)
        self.answers = teacher.logits.to(device)
        self.fit = task.fit
        members = self.real[chosen.to(device)]
        self.y = members.y
        self.x = task.inputs(members.x).clone()
        labels = self.answers[chosen.to(device)]
        self.soft = labels - labels.mean(1, keepdim=True)
        self.black = task.inputs(torch.zeros(1, self.x.shape[1], 1, 1, dtype=torch.uint8, device=device))[0]
        self.scratch = {kind: build_net(kind, task, 0).to(device) for kind in self.kinds}
        for kind, net in self.scratch.items():
            need_features(net, kind, "frepo")
            net.to(memory_format=memory_format(net))
        self.members = [self._born(k, 0) for k in range(len(self.kinds) * method.pool)]

    @property
    def groups(self) -> dict[str, Group]:
        """The images ``x`` and the label logits ``soft``."""
        return {
            "images": Group({"x": self.x}, self.method.image_rate),
            "labels": Group({"soft": self.soft}, self.method.label_rate),
        }

    def shards(self, step: int) -> list[Shard]:
        """Return some networks of each kind, drawn from the pool without repeats."""
        kinds = len(self.kinds)
        places = [
            permutation(self.method.pool, self.seed, "pool", step, kind)[: self.method.networks].tolist()
            for kind in range(kinds)
        ]
        return [
            Shard(step, kinds * place + kind) for each in zip(*places, strict=True) for kind, place in enumerate(each)
        ]

    def gradient(self, shard: Shard) -> Part:
        """Return the gradients of the regression's loss, and the network after its training step."""
        kind, state = self.kinds[shard.member % len(self.kinds)], self.members[shard.member]
        net: Any = self.scratch[kind]
        _put(net, state)
        net.eval()
        draws = generator(self.seed, "real", shard.step, shard.member)
        batch = self.fit[torch.randint(len(self.fit), (self.method.real_batch,), generator=draws)].to(self.device)
        recipe = self.recipes[kind]

        def features(x: Tensor) -> Tensor:
            x = shift_and_flip(x, 0, True, self.black, draws) if recipe.changes.flip else x
            found: Tensor = net.features(x.contiguous(memory_format=memory_format(net))).flatten(1)
            return found

        with torch.no_grad():
            real = features(self.task.inputs(self.real.x[batch]))
        x, soft = self.x.detach().requires_grad_(), self.soft.detach().requires_grad_()
        answers = regress(features(x), soft, real, self.method.ridge)
        y = self.real.y[batch]
        share = self.method.teacher_share
        target = share * self.answers[batch].softmax(1) + (1 - share) * F.one_hot(y, answers.shape[1])
        loss = F.cross_entropy(answers, target)
        of_x, of_soft = torch.autograd.grad(loss, [x, soft])
        right = (answers.argmax(1) == y).float().mean()
        values = {"loss": float(loss.detach()), "accuracy": float(right)}
        return Part({"x": of_x, "soft": of_soft}, values, self._older(shard, net, recipe, state))

    def absorb(self, shard: Shard, update: dict[str, Tensor]) -> None:
        """Put the trained network, or the fresh one that takes its place, into the pool."""
        self.members[shard.member] = {name: tensor.to(self.device) for name, tensor in update.items()}

    def score(self, seed: int) -> float:
        """Return the validation accuracy, a fraction, of a fresh default network trained on the present set."""
        name = net_name("default", self.task)
        recipe = replace(small_recipe(self.task, name, "cpu"), steps=self.method.check_steps)
        net = build_net(name, self.task, self.seed, "validation", seed)
        return validated(net, self.task, self._examples(), recipe, Setting(seed=seed, device=self.device))

    def decode(self) -> DistilledSet:
        """Return the present set."""
        told = {"teacher": self.teacher.net, "began at": self.chosen.tolist()}
        return made_images(self.task, self.method, self.seed, self.x, self.y, self.soft, self.method.temperature, told)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the variables and the pool."""
        pool = {f"pool.{k}.{name}": tensor for k, state in enumerate(self.members) for name, tensor in state.items()}
        return {"x": self.x, "soft": self.soft, **pool}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put such a state in place."""
        self.x.copy_(state["x"])
        self.soft.copy_(state["soft"])
        self.members = [{} for _ in self.members]
        for name, tensor in state.items():
            if name.startswith("pool."):
                _, number, part = name.split(".", 2)
                self.members[int(number)][part] = tensor.to(self.device)

    def _examples(self) -> Examples:
        return Examples(self.x.detach(), self.y, self.soft.detach(), self.method.temperature)

    def _born(self, member: int, step: int) -> dict[str, Tensor]:
        """Return a fresh network after its first few training steps, so that its norms know the data."""
        kind = self.kinds[member % len(self.kinds)]
        fresh = build_net(kind, self.task, self.seed, "pool", member, step).to(self.device)
        return self._train(fresh, self.recipes[kind], {"age": torch.tensor(0)}, YOUNG, (member, step, 0))

    def _older(self, shard: Shard, net: nn.Module, recipe: Recipe, state: dict[str, Tensor]) -> dict[str, Tensor]:
        if int(state["age"]) + 1 >= self.method.life:
            return self._born(shard.member, shard.step + 1)
        return self._train(net, recipe, state, 1, (shard.member, shard.step, 1))

    def _train(
        self, net: nn.Module, recipe: Recipe, state: dict[str, Tensor], steps: int, key: tuple[int, ...]
    ) -> dict[str, Tensor]:
        """Train a network on the present set, going on from its age, and return its new state."""
        net.to(memory_format=memory_format(net)).train()
        optimiser = build_optimiser(net, recipe)
        peaks = [group["lr"] for group in optimiser.param_groups]
        for name, p in net.named_parameters():
            if f"momentum.{name}" in state:
                optimiser.state[p]["momentum_buffer"] = state[f"momentum.{name}"].clone()
        examples = self._examples()
        size = min(recipe.batch_size, len(examples))
        age = int(state["age"])
        for k in range(steps):
            order = permutation(len(examples), self.seed, "online", *key, k)[:size].to(self.device)
            for group, peak in zip(optimiser.param_groups, peaks, strict=True):
                group["lr"] = peak * learning_rate_share(age + k, recipe)
            draws = generator(self.seed, "online augment", *key, k)
            optimiser.zero_grad()
            step_loss(net, self.task, examples[order], recipe, draws).backward()
            optimiser.step()
        new: dict[str, Any] = {f"net.{name}": tensor.detach().clone() for name, tensor in net.state_dict().items()}
        for name, p in net.named_parameters():
            if "momentum_buffer" in optimiser.state[p]:
                new[f"momentum.{name}"] = optimiser.state[p]["momentum_buffer"].clone()
        return {**new, "age": torch.tensor(age + steps)}


def _put(net: nn.Module, state: dict[str, Tensor]) -> None:
    net.load_state_dict({name[4:]: tensor for name, tensor in state.items() if name.startswith("net.")})


def regress(features: Tensor, labels: Tensor, real: Tensor, strength: float) -> Tensor:
    """Return what ridge regression, fitted to the synthetic set, answers on real members.

    Both sides are centred on the synthetic set, which is a bias without a penalty. Solved in the smaller of the
    two forms, whose answers are equal: over the D features, or over the N members (the kernel form of the paper).

    Args:
        features: ``(N, D)`` float32 of the synthetic set; carries the graph to the images.
        labels: ``(N, C)`` float32.
        real: ``(B, D)`` float32 of the real members.
        strength: of the ridge, in units of the features' squares summed over the members and averaged over the
            dimensions.

    Returns:
        ``(B, C)`` float32.

    Source: Zhou et al. 2022, eq. 5. Deviates: the centring.
    """
    centre, level = features.mean(0), labels.mean(0)
    a, b = features - centre, labels - level
    n, d = a.shape
    penalty = strength * a.detach().square().sum() / d
    if d < n:
        weights = torch.linalg.solve(a.T @ a + penalty * torch.eye(d, device=a.device), a.T @ b)
    else:
        weights = a.T @ torch.linalg.solve(a @ a.T + penalty * torch.eye(n, device=a.device), b)
    return (real - centre) @ weights + level
