"""The networks of FRePo's pool: those of a kind are trained in turns, in the tensors of one network."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ddcore.data import Examples, Task
from ddcore.draws import generator, permutation
from ddcore.runtime import State, copied, copy_all, packed
from ddcore.training import (
    Course,
    PublishedCourse,
    PublishedRecipe,
    Recipe,
    build_optimiser,
    memory_format,
    moments,
    stepper,
)

Member = dict[str, Tensor]
"""A network of the pool: its weights, its optimiser's state, and its age in training steps."""


class KeyedDraws:
    """Training steps whose changes of the images are drawn by a key.

    Attributes:
        seed: of all draws.
        key: of the present step.
    """

    seed: int
    key: tuple[int, ...] = ()

    def draws(self, step: int) -> torch.Generator:
        """Return the generator of the present step's changes."""
        return generator(self.seed, "online augment", *self.key)


class PoolCourse(KeyedDraws, Course):
    """The training steps by a recipe of ddcore."""


class PublishedPoolCourse(KeyedDraws, PublishedCourse):
    """The training steps by a published recipe."""


class Turns:
    """The training of all networks of a kind on the present set.

    They take turns in the tensors of one network and one optimiser, so that a GPU can record the training step once.

    Args:
        net: of the kind, on the device of the members.
        task: says how to read the members.
        examples: the present set, which changes in place.
        recipe: how to train.
        seed: of all draws.
    """

    def __init__(
        self, net: nn.Module, task: Task, examples: Examples, recipe: Recipe | PublishedRecipe, seed: int
    ) -> None:
        self.net, self.recipe = net.to(memory_format=memory_format(net)), recipe
        self.course: PoolCourse | PublishedPoolCourse
        self.take: Callable[[int, Tensor], Tensor]
        if isinstance(recipe, PublishedRecipe):
            self.course = PublishedPoolCourse(net, task, examples, recipe, recipe.build_optimiser(net), seed)
            self.take = self.course.take
        else:
            self.course = PoolCourse(net, task, examples, recipe, build_optimiser(net, recipe), seed)
            self.take = stepper(self.course)

    def put(self, member: Member) -> None:
        """Put a network of the pool in place."""
        copy_all(self._state(), member)

    def begin(self, fresh: nn.Module) -> None:
        """Put a fresh network in place, with an optimiser as before its first step."""
        copy_all(self.net.state_dict(), fresh.state_dict())
        for tensor in moments(self.course.optimiser).values():
            tensor.zero_()

    def train(self, age: int, steps: int, key: tuple[int, ...]) -> Member:
        """Train the network that is in place for some steps, and return it.

        Args:
            age: its steps until now.
            steps: to take.
            key: of the draws.
        """
        count, seed = len(self.course.examples), self.course.seed
        self.net.train()
        for k in range(steps):
            self.course.key = (*key, k)
            order = permutation(count, seed, "online", *self.course.key)
            self.take(age + k, order[: min(self.recipe.batch_size, count)])
        return {**copied(self._state()), "age": torch.tensor(age + steps)}

    def _state(self) -> State:
        return packed({"net": self.net.state_dict(), "optimiser": moments(self.course.optimiser)})
