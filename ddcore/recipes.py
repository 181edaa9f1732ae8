"""How each network is trained on each data set, by size of the set and by profile."""

from dataclasses import replace

from ddcore.data.task import Task
from ddcore.nets import NETS
from ddcore.nets.own import is_own
from ddcore.training import Recipe

SMALL = 5000
MIRRORED = ("cifar10", "cifar100")

IMAGE_LR = {"mlp": 0.05, "lenet": 0.05}
# A user's own network may have no norms, as those two.
OWN_LR = 0.05


def recipes_for(task: Task, members: int, profile: str, toy: bool) -> dict[str, Recipe]:
    """Return a recipe for every network that reads the task.

    Args:
        task: the data set.
        members: of the set to train on; fewer than `SMALL` take the small sets' recipes.
        profile: ``cpu`` or ``gpu``.
        toy: cut to a toy's length, for ``--quick``.
    """
    names = [name for name, net in NETS.items() if net.kind == task.kind]
    return {name: recipe_for(task, name, members, profile, toy) for name in names}


def recipe_for(task: Task, net: str, members: int, profile: str, toy: bool) -> Recipe:
    """Return the recipe of one network, which may be a user's own; the arguments are those of `recipes_for`."""
    made = (small_recipe if members < SMALL else whole_recipe)(task, net, profile)
    return quick(made) if toy else made


def quick(recipe: Recipe) -> Recipe:
    """Return the recipe at toy length."""
    return replace(recipe, steps=min(recipe.steps, 100), batch_size=min(recipe.batch_size, 100))


def whole_recipe(task: Task, net: str, profile: str) -> Recipe:
    """Return how to train a network on the whole training set or a large part of it.

    The steps are counted from the whole set, so that a part of it gets as many.
    """
    if task.kind == "text":
        return _text_recipe(net)
    epochs = 10 if profile == "cpu" else 40
    steps = max(400, round(epochs * len(task.train) / 128))
    return replace(_image_recipe(task, net), steps=steps, batch_size=128)


def small_recipe(task: Task, net: str, profile: str) -> Recipe:
    """Return how to train a network on at most a few thousand members."""
    if task.kind == "text":
        return _small_text_recipe(net)
    whole = _image_recipe(task, net)
    steps = 1000 if profile == "cpu" else 3000
    # Soft labels at a high temperature have steep losses (T²), so all but the kernels take a lower rate.
    lr = min(whole.lr, 0.02)
    kept = replace(whole, steps=steps, batch_size=100, lr=lr, kernel_lr=0.03, weight_decay=0.01)
    # These two change how hard labels are learned, and only them.
    return replace(kept, mixup=True, label_smoothing=0.2)


def _image_recipe(task: Task, net: str) -> Recipe:
    side = task.shape[1]
    lr = OWN_LR if is_own(net) else IMAGE_LR.get(net, 0.2)
    return Recipe(lr=lr, flip=task.name in MIRRORED, shift=max(1, side // 14))


def _text_recipe(net: str) -> Recipe:
    if net == "linear":
        return Recipe(steps=80, batch_size=1, optimiser="adam", strength=1.0)
    return Recipe(steps=1500, batch_size=64, optimiser="adam", lr=0.002, warmup=0.1, span=200)


def _small_text_recipe(net: str) -> Recipe:
    """Return how to train on packed clauses: spans as short as a few sentences, for a member's evidence is dense."""
    if net == "linear":
        return Recipe(steps=80, batch_size=1, optimiser="adam", min_members=1, ratio_power=0.5,
                      strength=10.0, intercept=False)  # fmt: skip
    return Recipe(steps=400, batch_size=64, optimiser="adam", lr=0.003, warmup=0.05, span=50)
