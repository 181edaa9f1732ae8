"""What the methods share that match statistics of real and synthetic members: variables, batches, score."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from ddcore.data import Examples, Inputs, Task, Tokens, augmented, strategies
from ddcore.draws import generator
from ddcore.errors import UsageError
from ddcore.nets import Embedding, build_net, net_name
from ddcore.options import option
from ddcore.selection import SELECTORS, Choice
from ddcore.sets import DistilledSet
from ddcore.synthesis import Group, made_images
from ddcore.training import Setting, Teacher, load_embedding, small_recipe, validated

IMAGES = ("random", "k-means", "herding", "k-center")
LABELS = ("hard", "soft")
T = TypeVar("T", bound="MatchOptions")


@dataclass(frozen=True)
class MatchOptions:
    """Options of every method that matches real members, class by class.

    Attributes:
        together: as in `ddcore.synthesis.contract.Group`, of the images.
    """

    together: ClassVar[bool] = False

    steps: int = option(1000, "outer steps", low=1)
    net: str = option("default", "network whose answers are matched; default: convnet, for texts the embedding's")
    images: str = option("random", "real members that the images begin as", choices=IMAGES)
    labels: str = option("hard", "soft: a teacher's, of the members that the images began as", choices=LABELS)
    temperature: float = option(4.0, "of a teacher's labels", low=0.01)
    real_batch: int = option(128, "real members of each class a step", low=1)
    image_rate: float = option(
        0.02,
        "learning rate of the images, in standard deviations of a pixel (texts: of a number in a word vector)",
        low=0,
    )
    embedding: str = option("", "texts: run folder of train_baseline.py --part fit whose word vectors members live in")
    places: int = option(50, "texts: word vectors of a member", low=1)
    augment: str = option(
        "none", "Siamese changes to draw from, with commas between: colour, crop, cutout, flip, scale, rotate"
    )
    shards: int = option(8, "parts that the classes of a step are shared out in, over however many processes", low=1)
    checks: int = option(4, "validations on the way, besides the first", low=1)
    check_networks: int = option(2, "fresh networks a validation", low=1)
    check_steps: int = option(400, "training steps of each of them", low=1)

    def shortened(self: T) -> T:
        """Return these options at toy length."""
        return replace(
            self,
            steps=min(self.steps, 4),
            real_batch=min(self.real_batch, 8),
            checks=1,
            check_networks=1,
            check_steps=min(self.check_steps, 20),
        )


@dataclass(frozen=True)
class Pair:
    """Real and synthetic members of a step, changed in the same way.

    Attributes:
        real, x: ``(B, C, H, W)`` and ``(N, C, H, W)`` float32; x carries the graph to the variables. For texts ids
            ``(B, L)`` int64 and word vectors ``(N, P, D)`` float32.
        real_y, y: ``(B,)`` and ``(N,)`` int64.
    """

    real: Tensor
    real_y: Tensor
    x: Tensor
    y: Tensor


@dataclass(frozen=True)
class Shard:
    """What some classes add to one network's part of a step.

    Attributes:
        step, network: counted from 0.
        classes: their numbers.
        of: shards that the classes of a network are shared out in. The outer loop takes means over shards; a sum over
            classes is that of the shards times this number.
    """

    step: int
    network: int
    classes: tuple[int, ...]
    of: int


def shared_out(step: int, networks: int, classes: int, shards: int) -> list[Shard]:
    """Return the shards of a step, the same whatever the number of processes."""
    groups = torch.arange(classes).tensor_split(min(shards, classes))
    return [Shard(step, network, tuple(group.tolist()), len(groups)) for network in range(networks) for group in groups]


class RealBatches:
    """Batches of real members outside the validation part, class by class, beside the synthetic members.

    Args:
        task: the data set.
        size: real members of each class.
        names: of the Siamese changes to draw from.
        seed: of the run.
        device: where the batches go.
    """

    def __init__(self, task: Task, size: int, names: tuple[str, ...], seed: int, device: torch.device) -> None:
        self.task, self.size, self.names, self.seed, self.device = task, size, names, seed, device
        self.x = task.train.to(device).x
        y = task.train.y[task.fit]
        self.by_class = [task.fit[y == k] for k in range(len(task.classes))]

    def pairs(self, x: Tensor, y: Tensor, classes: Sequence[int], *key: int) -> list[Pair]:
        """Return a batch of some classes and the members of x that y puts there, each class with its own change."""
        found, drawn = [], []
        for k in classes:
            place = torch.randint(len(self.by_class[k]), (self.size,), generator=generator(self.seed, "real", k, *key))
            drawn.append(self.by_class[k][place])
        batches = self.task.inputs(self.x[torch.cat(drawn).to(self.device)]).split(self.size)
        for k, real in zip(classes, batches, strict=True):
            made = x[y == k]
            changed = [augmented(each, self.names, generator(self.seed, "siamese", k, *key)) for each in (real, made)]
            of_class = [torch.full((len(each),), k, device=self.device) for each in changed]
            found.append(Pair(changed[0], of_class[0], changed[1], of_class[1]))
        return found


class Matched:
    """The variables of a run, and what it takes to judge them.

    Attributes:
        x: ``(N, C, H, W)`` float32, normalised; moved by the outer loop. For texts word vectors ``(N, P, D)``.
        y: ``(N,)`` int64, class after class.
        soft: ``(N, K)`` float32, a teacher's logits; None for hard labels.
        embedding: what texts are written in, and every network that reads them holds; None for images.
    """

    def __init__(
        self, method: MatchOptions, task: Task, budget: int, teacher: Teacher | None, seed: int, device: torch.device
    ) -> None:
        self.method, self.task, self.seed, self.device = method, task, seed, device
        self.embedding = _embedding(method, task)
        self.names = strategies(method.augment) if self.embedding is None else ()
        own = "convnet" if self.embedding is None else self.embedding.net
        self.net_name = net_name(own if method.net == "default" else method.net, task)
        selector = SELECTORS[method.images]()
        if teacher is None and (selector.needs_teacher or method.labels == "soft"):
            raise UsageError(f"--images {method.images} with --labels {method.labels} needs --teacher RUN_DIR")
        self.chosen: Tensor = selector.select(Choice(task, task.fit, budget, seed, device, teacher))
        self.x = self._first(task.train.x[self.chosen]).to(device).clone()
        self.y = task.train.y[self.chosen].to(device)
        soft = method.labels == "soft" and teacher is not None
        self.soft = teacher.logits[self.chosen].to(device) if soft and teacher is not None else None
        self.teacher = teacher.net if soft and teacher is not None else None
        self.real = RealBatches(task, method.real_batch, self.names, seed, device)

    @property
    def groups(self) -> dict[str, Group]:
        """The images, or the word vectors."""
        if self.embedding is None:
            return {"images": Group({"x": self.x}, self.method.image_rate, self.method.together)}
        spread = float(self.embedding.table[self.embedding.seen].std())
        return {"word vectors": Group({"x": self.x}, self.method.image_rate * spread, self.method.together)}

    def fresh(self, *key: int | str) -> nn.Module:
        """Return a freshly initialised network, the same for the same key; one on texts holds the word vectors."""
        net = build_net(self.net_name, self.task, self.seed, *key)
        return (net if self.embedding is None else self.embedding.adopt(net)).to(self.device)

    def awake(self, net: nn.Module) -> nn.Module:
        """Return a network ready to be matched: in training mode, but for texts, whose networks drop words."""
        return net.train(self.embedding is None)

    def pairs(self, x: Tensor, shard: Shard) -> list[Pair]:
        """Return a batch of each class of a shard and the synthetic members of that class."""
        return self.real.pairs(x, self.y, shard.classes, shard.step, shard.network)

    def examples(self) -> Examples:
        """Return the present set to train on."""
        return Examples(self.x.detach(), self.y, self.soft, self.method.temperature if self.soft is not None else 1.0)

    def score(self, seed: int) -> float:
        """Return the validation accuracy, a fraction, of a fresh network of that kind trained on the present set."""
        recipe = replace(small_recipe(self.task, self.net_name, "cpu"), steps=self.method.check_steps)
        net = self.fresh("validation", seed)
        return validated(net, self.task, self.examples(), recipe, Setting(seed=seed, device=self.device))

    def decode(self) -> DistilledSet:
        """Return the present set."""
        teacher = {} if self.teacher is None else {"teacher": self.teacher}
        told = {"began at": self.chosen.tolist(), **teacher}
        temperature = 1.0 if self.soft is None else self.method.temperature
        made = made_images(self.task, self.method, self.seed, self.x, self.y, self.soft, temperature, told)
        return made if self.embedding is None else replace(made, kind="embeddings", embedding=self.embedding)

    def _first(self, members: Inputs) -> Tensor:
        """Return what real members begin as: images as they are, texts cut, or repeated, to the wanted places."""
        if self.embedding is None:
            return self.task.inputs(members)
        assert isinstance(members, Tokens)
        ids, lengths = members.padded(), members.lengths.clamp(min=1)
        places = torch.arange(self.method.places) % lengths[:, None]
        return self.embedding.vectors(ids.gather(1, places))


def _embedding(method: MatchOptions, task: Task) -> Embedding | None:
    if task.kind == "images":
        if method.embedding:
            raise UsageError(f"--embedding is for texts: leave it out for {task.name}")
        return None
    if not method.embedding:
        raise UsageError("texts are made of word vectors: give --embedding RUN_DIR of train_baseline.py --part fit")
    return load_embedding(Path(method.embedding), task)
