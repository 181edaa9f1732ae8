"""What all cells of a comparison share."""

from dataclasses import dataclass
from functools import cached_property

from ddcore.data import Task
from ddcore.draws import FRESH
from ddcore.nets import net_name
from ddcore.problem import Problem
from ddcore.training import AnyRecipe, recipe_for

# Networks that a set is carried over to: the first three of them that are not the comparison's own.
OTHERS = {"images": ("mlp", "lenet", "resnet-gn", "convnet"), "text": ("bag", "cnn", "attention", "linear")}
RANDOM, WHOLE = "random", "whole"


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

    @cached_property
    def recipes(self) -> dict[str, AnyRecipe]:
        """How each network is trained on every set: the protocol's recipes for sets of this size."""
        task, budget = self.problem.task, self.problem.budget
        return {net: recipe_for(task, net, budget, self.profile, self.toy) for net in (self.net, *self.others)}

    @property
    def fresh_seeds(self) -> range:
        """The seeds of the evaluation."""
        first = FRESH + self.problem.seed
        return range(first, first + self.seeds)


def networks(task: Task, net: str, others: str) -> tuple[str, tuple[str, ...]]:
    """Return the network to compare on, and those to carry over to.

    Args:
        task: the data set.
        net: a name; ``default`` is the task's own.
        others: names with commas between; empty for three usual ones.

    Raises:
        UsageError: a network is unknown or reads another kind of data.
    """
    own = net_name(net, task)
    usual = [each for each in OTHERS[task.kind] if each != "linear" or len(task.classes) == 2]
    asked = [net_name(each.strip(), task) for each in others.split(",")] if others else usual
    rest = [each for each in dict.fromkeys(asked) if each != own]
    return own, tuple(rest if others else rest[:3])
