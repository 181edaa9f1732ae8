"""What all cells of a comparison share."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ddcore.data import Task
from ddcore.nets import net_name
from ddcore.training import AnyRecipe, Teacher, recipes_for

# Networks that a set is carried over to: the first three of them that are not the comparison's own.
OTHERS = {"images": ("mlp", "lenet", "resnet-gn", "convnet"), "text": ("bag", "cnn", "attention", "linear")}
# Added to the run's seed, so that no network of the evaluation begins with weights that a teacher began with.
FRESH = 1000
RANDOM, WHOLE = "random", "whole"


@dataclass(frozen=True)
class Terms:
    """What all cells share.

    Attributes:
        task: the data set.
        budget: members of every set.
        minutes: for each way whose steps are counted from a time.
        net: network that the sets are compared on.
        others: networks that they are carried over to.
        seed: of all draws that make a set.
        seeds: how many networks of a kind are trained on a set, from fresh seeds.
        temperature: of the teacher's labels where the evaluation adds them.
        teacher, teacher_folder: its answers, and the run folder that its networks lie in; None without one.
        profile: ``cpu`` or ``gpu``, for the recipes.
        toy: cut everything to a toy's length.
    """

    task: Task
    budget: int
    minutes: float
    net: str
    others: tuple[str, ...]
    seed: int
    seeds: int
    temperature: float
    teacher: Teacher | None
    teacher_folder: Path | None
    profile: str
    toy: bool

    @cached_property
    def recipes(self) -> dict[str, AnyRecipe]:
        """How each network is trained on every set: the protocol's recipes for sets of this size."""
        made = recipes_for(self.task, self.budget, self.profile, self.toy)
        return {net: made[net] for net in (self.net, *self.others)}

    @property
    def fresh_seeds(self) -> range:
        """The seeds of the evaluation."""
        return range(FRESH + self.seed, FRESH + self.seed + self.seeds)


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
    asked = [net_name(each.strip(), task) for each in others.split(",")] if others else OTHERS[task.kind]
    rest = [each for each in dict.fromkeys(asked) if each != own]
    return own, tuple(rest if others else rest[:3])
