"""How each network is trained on each data set, by size of the set and by profile."""

import math
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from ddcore.data import DATASETS, Task
from ddcore.errors import DDCoreError
from ddcore.nets import NETS, LinearRecipe, is_custom
from ddcore.runtime import JSONObject
from ddcore.training.published_recipe import PublishedRecipe

SMALL = 5000
OPTIMISERS = ("muon", "sgd", "adam")
# What the numbers of a recipe in a file may be; the others may be 0 and more.
BOUNDS = {
    "steps": (1, 10**9),
    "batch_size": (1, 10**9),
    "momentum": (0, 0.9999),
    "warmup": (0, 1),
    "label_smoothing": (0, 1),
    "shift": (0, 10**4),
    "cutout": (0, 10**4),
    "span": (0, 10**9),
    "ngrams": (1, 3),
    "min_members": (0, 10**9),
}
REMEDY = "--protocol ddcore ignores it"


@dataclass(frozen=True)
class Changes:
    """Random changes of the members of a batch.

    Attributes:
        flip: mirror every second image, left to right.
        shift: move images by up to so many pixels each way.
        cutout: side in pixels of a square that is set to the mean in each image; 0 for none.
        mixup: train on blends of two images and of their hard labels.
        span: train on random spans of so many tokens of a text; 0 for whole texts.
    """

    flip: bool = False
    shift: int = 0
    cutout: int = 0
    mixup: bool = False
    span: int = 0


@dataclass(frozen=True)
class Recipe:
    """How to train one network. The learning rates rise from 0 over the warm-up and then fall to 0, both linearly.

    Attributes:
        steps: of the optimiser.
        batch_size: members per step; never more than there are.
        optimiser: one of `OPTIMISERS`.
        lr: peak learning rate of everything that `kernel_lr` does not cover.
        kernel_lr: peak learning rate of convolution kernels under ``muon``.
        momentum: Nesterov momentum; Adam's first beta.
        weight_decay: per unit of learning rate; not on norms and biases.
        warmup: share of the steps over which the learning rates rise.
        label_smoothing: share of a hard label that is spread over all classes.
        changes: of the members of a batch.
    """

    steps: int = 1000
    batch_size: int = 256
    optimiser: str = "muon"
    lr: float = 0.2
    kernel_lr: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 0.0
    warmup: float = 0.2
    label_smoothing: float = 0.0
    changes: Changes = field(default=Changes())


AnyRecipe = Recipe | LinearRecipe | PublishedRecipe


def recorded(recipe: AnyRecipe) -> JSONObject:
    """Return a recipe as JSON values by field, the changes among them."""
    values = asdict(recipe)
    changes = values.pop("changes", {})
    return {**values, **changes}


def read_recipe(net: str, record: JSONObject, source: Path | str) -> AnyRecipe:
    """Return the recipe of a network that `recorded` returned; names that it does not have are ignored.

    Args:
        net: the network's name.
        record: values by field. A field that is added to a recipe later needs a default here, for older sets.
        source: of the record, for messages.

    Raises:
        DDCoreError: a field is missing, or its value is of the wrong kind.
    """
    default = recorded(LinearRecipe() if net == "linear" else Recipe())
    for name, value in default.items():
        if name not in record or not (_alike(record[name], value) and _within(name, record[name])):
            fault = f"{name} {record[name]!r}" if name in record else f"no {name}"
            raise DDCoreError(f"{source} is damaged: its recipe for {net} has {fault}; {REMEDY}")
    values = {name: record[name] for name in default}
    if net == "linear":
        return LinearRecipe(**values)
    changes = Changes(**{each.name: values.pop(each.name) for each in fields(Changes)})
    return Recipe(**values, changes=changes)


def _alike(value: float | str, default: float | str) -> bool:
    """Return whether a value can stand for another; a whole number can stand for a fraction."""
    return type(value) is type(default) or (type(value) is int and type(default) is float)


def _within(name: str, value: float | str) -> bool:
    """Return whether the value of a field can be trained with."""
    if isinstance(value, str):
        return value in OPTIMISERS
    low, high = BOUNDS.get(name, (0, math.inf))
    return low <= value <= high


def recipes_for(task: Task, members: int, profile: str, toy: bool) -> dict[str, AnyRecipe]:
    """Return a recipe for every network that reads the task.

    Args:
        task: the data set.
        members: of the set to train on; fewer than `SMALL` take the small sets' recipes.
        profile: ``cpu`` or ``gpu``.
        toy: at toy length, for ``--quick``.
    """
    return {name: recipe_for(task, name, members, profile, toy) for name, net in NETS.items() if net.kind == task.kind}


def recorded_recipes(task: Task, members: int, profile: str, toy: bool) -> dict[str, JSONObject]:
    """Return the recipes of `recipes_for` as JSON values."""
    return {name: recorded(recipe) for name, recipe in recipes_for(task, members, profile, toy).items()}


def recipe_for(task: Task, net: str, members: int, profile: str, toy: bool) -> AnyRecipe:
    """Return the recipe of one network, which may be a user's own; the arguments are those of `recipes_for`."""
    recipe = (small_recipe if members < SMALL else whole_recipe)(task, net, profile)
    return quick(recipe) if toy else recipe


def quick(recipe: AnyRecipe) -> AnyRecipe:
    """Return the recipe at toy length."""
    if isinstance(recipe, PublishedRecipe):
        return recipe.shortened(100)
    shorter = replace(recipe, steps=min(recipe.steps, 100))
    return replace(shorter, batch_size=min(shorter.batch_size, 100)) if isinstance(shorter, Recipe) else shorter


def without_changes(recipe: AnyRecipe) -> AnyRecipe:
    """Return the recipe for images that are changed before they come."""
    if isinstance(recipe, PublishedRecipe):
        return replace(recipe, kinds=())
    return replace(recipe, changes=Changes()) if isinstance(recipe, Recipe) else recipe


def epoch_steps(recipe: Recipe | PublishedRecipe, members: int) -> int:
    """Return the steps of an epoch over so many members; batches that are drawn anew have as many as fit into it."""
    size = min(recipe.batch_size, members)
    whole = isinstance(recipe, PublishedRecipe) and recipe.batches == "epochs"
    return -(-members // size) if whole else members // size


def whole_recipe(task: Task, net: str, profile: str) -> AnyRecipe:
    """Return how to train a network on the whole training set or a large part of it.

    The steps are counted from the whole set, so that a part of it gets as many.
    """
    if task.kind == "text":
        spans = Recipe(steps=1500, batch_size=64, optimiser="adam", lr=0.002, warmup=0.1, changes=Changes(span=200))
        return LinearRecipe() if net == "linear" else spans
    epochs = 10 if profile == "cpu" else 40
    return replace(image_recipe(task, net), steps=max(400, round(epochs * len(task.train) / 128)), batch_size=128)


def small_recipe(task: Task, net: str, profile: str) -> AnyRecipe:
    """Return how to train a network on at most a few thousand members."""
    if task.kind != "text":
        return small_image_recipe(task, net, profile)
    if net == "linear":
        return LinearRecipe(min_members=1, ratio_power=0.5, strength=10.0, intercept=False)
    # Spans of a few sentences, because the evidence in a member, packed from clauses, is dense.
    return Recipe(steps=400, batch_size=64, optimiser="adam", lr=0.003, warmup=0.05, changes=Changes(span=50))


def small_image_recipe(task: Task, net: str, profile: str) -> Recipe:
    """Return how to train a network on at most a few thousand images."""
    whole = image_recipe(task, net)
    return replace(
        whole,
        steps=1000 if profile == "cpu" else 3000,
        batch_size=100,
        # Soft labels at a high temperature have steep losses (T²), so all but the kernels take a lower rate.
        lr=min(whole.lr, 0.02),
        kernel_lr=0.03,
        weight_decay=0.01,
        # Mixup and smoothing only affect hard labels.
        changes=replace(whole.changes, mixup=True),
        label_smoothing=0.2,
    )


def image_recipe(task: Task, net: str) -> Recipe:
    """Return what all trainings of a network on images share: its rate, and the changes that its labels survive."""
    # These have no norms, and a custom network may have none.
    lr = 0.05 if net in ("mlp", "lenet", "convnet-frepo") or is_custom(net) else 0.2
    mirrored = task.name in DATASETS and DATASETS[task.name].mirrored
    return Recipe(lr=lr, changes=Changes(flip=mirrored, shift=max(1, task.shape[1] // 14)))
