"""What all cells of a comparison share."""

from dataclasses import dataclass
from functools import cached_property

from ddcore.data import Examples, Task
from ddcore.draws import FRESH
from ddcore.nets import net_name
from ddcore.problem import Problem
from ddcore.sets import DistilledSet, Origin
from ddcore.training import (
    DDCORE,
    OWN,
    PROTOCOLS,
    AnyRecipe,
    Cell,
    CropLabels,
    CropOptions,
    NamedProtocol,
    crop_labels,
    price_line,
    quick,
    recipe_for,
    soft_examples,
)

# Networks that a set is carried over to: the first three of them that are not the comparison's own.
OTHERS = {"images": ("mlp", "lenet", "resnet-gn", "convnet"), "text": ("bag", "cnn", "attention", "linear")}
RANDOM, WHOLE = "random", "whole"
NAMED = tuple(name for name in PROTOCOLS if name != OWN)
"""Protocols that every set can be judged under alike."""


@dataclass(frozen=True)
class Terms:
    """What all cells share.

    Attributes:
        problem: what every entry is asked for.
        minutes: for each entry whose steps are counted from a time.
        net: network that the sets are compared on.
        others: networks that they are carried over to.
        seeds: how many networks of a kind are trained on a set, from fresh seeds.
        temperature: of the teacher's labels where the evaluation adds them.
        profile: ``cpu`` or ``gpu``, for the recipes.
        toy: cut everything to toy length.
        draws: how many sets are made of each entry that another seed changes.
        protocol: how networks are trained on every set, of `NAMED`.
    """

    problem: Problem
    minutes: float
    net: str
    others: tuple[str, ...]
    seeds: int
    temperature: float
    profile: str
    toy: bool
    draws: int = 1
    protocol: str = DDCORE

    @property
    def named(self) -> NamedProtocol:
        """The protocol."""
        return PROTOCOLS[self.protocol]

    @property
    def teacher_accuracy(self) -> float | None:
        """The accuracy of the teacher's logits on the validation split, a fraction; None without a teacher."""
        teacher, task = self.problem.teacher, self.problem.task
        if teacher is None:
            return None
        right = teacher.logits[task.validation].argmax(1) == task.train.y[task.validation]
        return float(right.double().mean())

    @cached_property
    def recipes(self) -> dict[str, AnyRecipe]:
        """How each network is trained on every set: the protocol's recipes for sets of this size."""
        task, budget = self.problem.task, self.problem.budget
        if self.named.recipe is not None:
            published = self.named.published_recipe(task, budget)
            return dict.fromkeys((self.net, *self.others), quick(published) if self.toy else published)
        return {net: recipe_for(task, net, budget, self.profile, self.toy) for net in (self.net, *self.others)}

    @property
    def fresh_seeds(self) -> range:
        """The seeds of the evaluation."""
        first = FRESH + self.problem.seed
        return range(first, first + self.seeds)

    def labelled(self, small: DistilledSet) -> dict[str, tuple[Examples, CropLabels | None]]:
        """Return what networks learn of a set by kind of labels, ``hard`` and, with a teacher, ``soft``.

        Under a protocol of labels by crop, both kinds are crops: with the data's labels, and with the teacher's.
        """
        problem, asked = self.problem, (self.net, *self.others)
        task, teacher, hard = problem.task, problem.teacher, small.examples("hard")
        if not self.named.by_crop:
            soft = soft_examples(small, task, teacher, self.temperature, problem.device, asked)
            return {"hard": (hard, None), **({} if soft is None else {"soft": (soft, None)})}
        kinds = {"hard": (hard, crop_labels(CropOptions(), small, task, None, hard=True))}
        if teacher is not None:
            kinds["soft"] = hard, crop_labels(CropOptions(), small, task, teacher, asked)
        return dict(kinds)


def networks(task: Task, net: str, others: str, protocol: str = DDCORE) -> tuple[str, tuple[str, ...]]:
    """Return the network to compare on, and those to carry over to.

    Args:
        task: the data set.
        net: a name; ``default`` is the protocol's, or the task's own.
        others: names with commas between; empty for three usual ones, and for none under a published protocol.
        protocol: of `NAMED`.

    Raises:
        UsageError: a network is unknown or reads another kind of data.
    """
    named = PROTOCOLS[protocol]
    own = net_name(named.net if net == "default" else net, task)
    if named.recipe is not None and not others:
        return own, ()
    usual = [each for each in OTHERS[task.kind] if each != "linear" or len(task.classes) == 2]
    asked = [net_name(each.strip(), task) for each in others.split(",")] if others else usual
    rest = [each for each in dict.fromkeys(asked) if each != own]
    return own, tuple(rest if others else rest[:3])


def price(terms: Terms, test: Examples) -> str:
    """Return in one line what it costs to judge a set by a published protocol, by the example of training members."""
    problem = terms.problem
    task = problem.task
    members = task.train[task.fit[: problem.budget]]
    small = DistilledSet("images", members.x, members.y, Origin.of(task, RANDOM, {}, {}), task.scale)
    labels = terms.labelled(small).get("soft", (members, None))[1] if terms.named.by_crop else None
    cells = [
        Cell(members, net, recipe, seed, f"{net}-{seed}", labels=labels)
        for net, recipe in terms.recipes.items()
        for seed in terms.fresh_seeds
    ]
    return f"protocol {terms.protocol}: {price_line(cells, task, test, problem.device)}"
