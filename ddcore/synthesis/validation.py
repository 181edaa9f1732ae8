"""How a set is validated on the way, so that its best state is kept."""

from dataclasses import dataclass, replace

from ddcore.data import Examples
from ddcore.nets import Embedding, build_net
from ddcore.options import option
from ddcore.problem import Problem
from ddcore.training import Setting, small_recipe, validated


@dataclass(frozen=True)
class Validation:
    """How often a set is validated, and by how many networks."""

    validations: int = option(5, "validations on the way, besides the first", low=1, flags="validations checks")
    networks: int = option(4, "fresh networks per validation", low=1, flags="validation-networks check-networks")

    def quick(self) -> "Validation":
        """Return the same at toy length."""
        return replace(self, validations=1, networks=1)


@dataclass(frozen=True)
class TrainedValidation(Validation):
    """A validation by networks that are trained on the set as an evaluation would train them, but more briefly."""

    validations: int = option(4, "validations on the way, besides the first", low=1, flags="validations checks")
    networks: int = option(2, "fresh networks per validation", low=1, flags="validation-networks check-networks")
    steps: int = option(400, "training steps of each of them", low=1, flags="validation-steps check-steps")

    def quick(self) -> "TrainedValidation":
        """Return the same at toy length."""
        return replace(self, validations=1, networks=1, steps=min(self.steps, 20))

    def accuracy(
        self, problem: Problem, net: str, examples: Examples, seed: int, embedding: Embedding | None = None
    ) -> float:
        """Return the validation accuracy, a fraction, of a fresh network that is trained on a set.

        Args:
            problem: what is asked for.
            net: name of the network.
            examples: the set.
            seed: of the network, and of its training.
            embedding: word vectors that the network holds; None for images.
        """
        recipe = replace(small_recipe(problem.task, net, "cpu"), steps=self.steps)
        network = build_net(net, problem.task, problem.seed, "validation", seed)
        if embedding is not None:
            network = embedding.adopt(network)
        return validated(network.to(problem.device), problem.task, examples, recipe, Setting(seed, problem.device))
