"""What the methods share that match statistics of real and synthetic members: variables, batches, score."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from ddcore.data import Examples, Inputs, Task, Tokens, strategies
from ddcore.draws import generator
from ddcore.errors import require
from ddcore.methods.real_batches import Pair, RealBatches
from ddcore.nets import Embedding, build_net, moved, net_name
from ddcore.options import group, later, option
from ddcore.problem import Problem
from ddcore.runtime import JSONObject, Session
from ddcore.selection import SELECTORS, starting_members
from ddcore.sets import DistilledSet
from ddcore.synthesis import Group, Method, Shard, Synthesis, TrainedValidation
from ddcore.training import Labels, load_embedding, train_command

KINDS = ("hard", "soft")
NOISE = "noise"
OPTIMISERS = ("adam", "sgd")
SGD_MOMENTUM = 0.5
"""Of the images under SGD, as in the papers' code."""
CLASSES_HELP = "classes of a step, drawn anew for each; all where there are no more"
T = TypeVar("T", bound="Matching")
GRAPH = 2.5
SECOND = 6.0
"""Memory of a way back through a network's answers, and of a second derivative, in what autograd keeps of them."""


@dataclass(frozen=True)
class Texts:
    """How synthetic texts are written: as word vectors."""

    embedding: str = option("", "texts: run folder of train_baseline.py --part fit whose word vectors members live in")
    places: int = option(50, "texts: word vectors of a member", low=1)


@dataclass(frozen=True)
class Matching(Method):
    """Options of every method that matches real members, class by class.

    Attributes:
        together: as in `ddcore.synthesis.Group`, of the images.
    """

    together: ClassVar[bool] = False

    steps: int = option(1000, "outer steps", low=1)
    net: str = option("default", "network whose answers are matched; default: convnet, for texts the embedding's")
    init: str = option(
        "random",
        f"selector of the members that the images start as ({', '.join(SELECTORS)}), or noise",
        flags="init images",
    )
    labels: Labels = group(Labels(), hide=("teacher_share",), choices={"kind": KINDS})
    real_batch: int = option(128, "real members of each class per step", low=1)
    image_rate: float = option(
        0.02,
        "learning rate of the images, in standard deviations of a pixel (texts: of a number in a word vector)",
        low=0,
    )
    image_optimiser: str = later(
        option("adam", "what moves the images: adam, or sgd with momentum 0.5 at a constant rate", choices=OPTIMISERS)
    )
    texts: Texts = group(Texts())
    augment: str = option(
        "none",
        "Siamese changes to draw from, with commas between: colour, crop, cutout, flip, scale, rotate",
    )
    classes_per_step: int = later(option(100, CLASSES_HELP, low=1))
    shards: int = option(8, "parts that the classes of a step are shared out in, over however many processes", low=1)
    validation: TrainedValidation = group(TrainedValidation())

    @property
    def in_vectors(self) -> bool:
        """Whether its members are word vectors."""
        return bool(self.texts.embedding)

    def quick(self: T) -> T:
        """Return these options at toy length."""
        return replace(
            self,
            steps=min(self.steps, 4),
            real_batch=min(self.real_batch, 8),
            validation=self.validation.quick(),
        )


@dataclass(frozen=True)
class ClassShard(Shard):
    """What some classes add to one network's part of a step.

    Attributes:
        classes: their numbers.
        group: its place among the shards of its network.
        of: shards that the classes of a network are shared out in. The outer loop takes means over shards; a sum over
            classes is that of the shards times this number.
    """

    classes: tuple[int, ...] = ()
    group: int = 0
    of: int = 1


def shared_out(step: int, networks: int, classes: Sequence[int], shards: int) -> list[ClassShard]:
    """Return the shards of a step with these classes, the same whatever the number of processes."""
    groups = torch.tensor(classes).tensor_split(min(shards, len(classes)))
    return [
        ClassShard(step, network, tuple(group.tolist()), place, len(groups))
        for network in range(networks)
        for place, group in enumerate(groups)
    ]


class MatchingRun(Synthesis):
    """The variables of a run, and what it takes to judge them.

    Attributes:
        x: ``(N, C, H, W)`` float32, normalised; moved by the outer loop. For texts word vectors ``(N, P, D)``.
        y: ``(N,)`` int64, class after class.
        soft: ``(N, K)`` float32, a teacher's logits; None for hard labels.
        embedding: what texts are written in, and every network that reads them holds; None for images.
        costs: operations of a step for each real member, in those of a network's answer to it.
    """

    method: Matching
    costs: ClassVar[int] = 1

    def __init__(self, method: Matching, problem: Problem, session: Session) -> None:
        super().__init__(method, problem, session)
        task, device, teacher = problem.task, problem.device, problem.teacher
        self.embedding = _embedding(method, task)
        self.names = strategies(method.augment) if self.embedding is None else ()
        own = "convnet" if self.embedding is None else self.embedding.net
        self.net_name = net_name(own if method.net == "default" else method.net, task)
        self.validation_net = self.net_name
        method.labels.need(teacher)
        self.chosen = starting_members("random" if method.init == NOISE else method.init, problem, session)
        self.x = self._first(task.train.x[self.chosen]).to(device).clone()
        self.y = task.train.y[self.chosen].to(device)
        self.teacher = teacher if method.labels.kind == "soft" else None
        self.soft = None if self.teacher is None else self.teacher.logits[self.chosen].to(device)
        self.temperature = 1.0 if self.soft is None else method.labels.temperature
        self.real = RealBatches(problem, method.real_batch, self.names)
        self.real.tell_few(session)

    @property
    def groups(self) -> dict[str, Group]:
        """The images, or the word vectors."""
        momentum = SGD_MOMENTUM if self.method.image_optimiser == "sgd" else None
        if self.embedding is None:
            return {"images": Group({"x": self.x}, self.method.image_rate, self.method.together, momentum)}
        spread = float(self.embedding.table[self.embedding.seen].std())
        rate = self.method.image_rate * spread
        return {"word vectors": Group({"x": self.x}, rate, self.method.together, momentum)}

    def fresh(self, *key: int | str) -> nn.Module:
        """Return a freshly initialised network, the same for the same key; one on texts holds the word vectors."""
        net = build_net(self.net_name, self.problem.task, self.problem.seed, *key)
        return moved(net if self.embedding is None else self.embedding.adopt(net), self.problem.device)

    def awake(self, net: nn.Module) -> nn.Module:
        """Return a network ready to be matched: in training mode, but for texts, whose networks drop words."""
        return net.train(self.embedding is None)

    def pairs(self, x: Tensor, shard: ClassShard) -> list[Pair]:
        """Return a batch of each class of a shard and the synthetic members of that class."""
        return self.real.pairs(x, self.y, shard.classes, shard.step, shard.part)

    def examples(self) -> Examples:
        """Return the present set to train on."""
        return Examples(self.x.detach(), self.y, self.soft, self.temperature)

    def shard_members(self) -> int:
        """Return the synthetic members of the largest shard of the first step; 0 for texts."""
        if self.embedding is not None:
            return 0
        counts = torch.bincount(self.y, minlength=len(self.problem.task.classes)).tolist()
        groups = torch.tensor(self.step_classes(0)).tensor_split(min(self.method.shards, len(self.step_classes(0))))
        return max(sum(counts[k] for k in group.tolist()) for group in groups)

    def step_classes(self, step: int) -> list[int]:
        """Return the classes of a step, ascending."""
        return self.real.classes(step, self.method.classes_per_step)

    def step_operations(self) -> float:
        """Return about how many operations an outer step takes: those of the real members."""
        members = self.real.count(self.step_classes(0))
        return getattr(self.method, "networks", 1) * self.costs * members * self.operations(self.net_name)

    def score(self, seed: int) -> float:
        """Return the validation accuracy, a fraction, of a fresh network of that kind trained on the present set."""
        return self.trained_accuracy(self.examples(), seed, self.embedding)

    def decode(self, notes: JSONObject | None = None) -> DistilledSet:
        """Return the present set."""
        teacher = {} if self.teacher is None else {"teacher": self.teacher.net}
        began = {} if self.method.init == NOISE else {"began at": self.chosen.tolist()}
        provenance = {**began, **teacher, **(notes or {})}
        small = self.image_set(self.x, self.y, self.soft, self.temperature, provenance)
        return small if self.embedding is None else replace(small, kind="embeddings", embedding=self.embedding)

    def _first(self, members: Inputs) -> Tensor:
        """Return what members begin as: images as they are, or noise; texts cut, or repeated, to the wanted places."""
        noise = self.method.init == NOISE
        if self.embedding is None:
            x = self.problem.task.inputs(members)
            return torch.randn(x.shape, generator=generator(self.problem.seed, NOISE)) if noise else x
        require(not noise, f"--init {NOISE} is for images")
        assert isinstance(members, Tokens)
        ids, lengths = members.padded(), members.lengths.clamp(min=1)
        places = torch.arange(self.method.texts.places) % lengths[:, None]
        return self.embedding.vectors(ids.gather(1, places))


def _embedding(method: Matching, task: Task) -> Embedding | None:
    texts = method.texts
    if task.kind == "images":
        require(not texts.embedding, f"--embedding is for texts: leave it out for {task.name}")
        return None
    words = Path("runs") / f"{task.name}-words"
    require(
        bool(texts.embedding),
        f"synthetic texts are written in word vectors: make some with {train_command(task, words, 'bag')} "
        f"and give --embedding {words}",
    )
    require(
        texts.places <= task.max_tokens, f"--places {texts.places} is more than the {task.max_tokens} a network reads"
    )
    return load_embedding(Path(texts.embedding), task, [method.net])
