"""How a set is validated on the way, so that its best state is kept."""

import time
from dataclasses import dataclass, replace

from ddcore.data import Examples, Task
from ddcore.nets import Embedding, build_net
from ddcore.options import option
from ddcore.problem import Problem
from ddcore.runtime import Bar, Progress, Session, in_time
from ddcore.training import Setting, small_recipe, validated

SHARE = 0.2
"""Of the operations of all outer steps, what the validations may take of large images and of many classes."""
SIDE, CLASSES = 32, 100
"""Pixels per side and classes up to which validations have their usual size, whatever they cost."""
LEAST_STEPS = 50
"""Training steps of the shortest validation that tells two sets apart."""
NETWORKS_HELP = "fresh networks per validation; 0: keep the last state"
LONG = 10.0
"""Seconds of all validations from which their time is worth a line."""


class Usual(int):
    """A number that counts where nobody asks for another one; `Validation.priced` may lower it."""


@dataclass(frozen=True)
class Price:
    """Operations, as `ddcore.nets.operations` counts them.

    Attributes:
        making: of all outer steps; 0 if they are not known.
        network: of a network of a validation, apart from `step`.
        step: of one of its training steps, if their number can be chosen.
    """

    making: float
    network: float
    step: float = 0.0


@dataclass(frozen=True)
class Validation:
    """How often a set is validated, and by how many networks; by none, the last state is kept."""

    validations: int = option(Usual(5), "validations on the way, besides the first", low=1, flags="validations checks")
    networks: int = option(Usual(4), NETWORKS_HELP, low=0, flags="validation-networks check-networks")

    @property
    def units(self) -> int:
        """The parts of a network's validation that its progress is counted in."""
        return 1

    @property
    def asked(self) -> bool:
        """Whether a number of it was asked for."""
        return type(self.validations) is int or type(self.networks) is int

    def quick(self) -> "Validation":
        """Return the same at toy length."""
        return replace(self, validations=1, networks=min(self.networks, 1))

    def priced(self, price: Price) -> "Validation":
        """Return the same with so many networks as `SHARE` of the making pays for, where nobody asked for a number."""
        most = int(SHARE * price.making / (self.validations + 1) / price.network)
        if type(self.networks) is int or most >= self.networks:
            return self
        return replace(self, networks=max(most, int(self.asked)))

    def __str__(self) -> str:
        return f"{self.networks} network{'s' * (self.networks > 1)}"


@dataclass(frozen=True)
class TrainedValidation(Validation):
    """A validation by networks that are trained on the set as an evaluation would train them, but more briefly."""

    validations: int = option(Usual(4), "validations on the way, besides the first", low=1, flags="validations checks")
    networks: int = option(Usual(2), NETWORKS_HELP, low=0, flags="validation-networks check-networks")
    steps: int = option(Usual(400), "training steps of each of them", low=1, flags="validation-steps check-steps")

    @classmethod
    def usual(cls, validations: int, networks: int, steps: int = 400) -> "TrainedValidation":
        """Return what counts where nobody asks for other numbers."""
        return cls(Usual(validations), Usual(networks), Usual(steps))

    @property
    def units(self) -> int:
        """The training steps."""
        return self.steps

    @property
    def asked(self) -> bool:
        """Whether a number of it was asked for."""
        return super().asked or type(self.steps) is int

    def quick(self) -> "TrainedValidation":
        """Return the same at toy length."""
        return replace(self, validations=1, networks=min(self.networks, 1), steps=min(self.steps, 20))

    def priced(self, price: Price) -> "TrainedValidation":
        """Return the same at the size that `SHARE` of the making pays for, where nobody asked for a number.

        First one network does the work of several, then it takes fewer steps; less than `LEAST_STEPS` is no
        validation.
        """
        most = SHARE * price.making / (self.validations + 1)
        if self.networks * (price.network + self.steps * price.step) <= most:
            return self
        networks = self.networks if type(self.networks) is int else 1
        steps = self.steps
        if type(steps) is not int:
            steps = min(steps, int((most / networks - price.network) / price.step))
            if steps < LEAST_STEPS:
                steps, networks = min(LEAST_STEPS, self.steps), networks if self.asked else 0
        return replace(self, networks=networks, steps=steps)

    def accuracy(
        self, problem: Problem, net: str, examples: Examples, setting: Setting, embedding: Embedding | None = None
    ) -> float:
        """Return the validation accuracy, a fraction, of a fresh network that is trained on a set.

        Args:
            problem: what is asked for.
            net: name of the network.
            examples: the set.
            setting: of the training; its seed is the network's, too.
            embedding: word vectors that the network holds; None for images.
        """
        recipe = replace(small_recipe(problem.task, net, "cpu"), steps=self.steps)
        network = build_net(net, problem.task, problem.seed, "validation", setting.seed)
        if embedding is not None:
            network = embedding.adopt(network)
        return validated(network.to(problem.device), problem.task, examples, recipe, setting)

    def __str__(self) -> str:
        return f"{super().__str__()} of {self.steps} training steps"


def is_large(task: Task) -> bool:
    """Return whether the validations of a task have a price: of images with many pixels or classes."""
    return task.kind == "images" and (max(task.shape[1:]) > SIDE or len(task.classes) > CLASSES)


def lessened(usual: Validation, now: Validation) -> str:
    """Return in words how a validation is smaller than usual because of its price; empty if it is not."""
    if now == usual:
        return ""
    if not now.networks:
        return (
            f"no validation, because even one network would cost more than {SHARE:.0%} of the making's operations; "
            "the last state is kept (--validations asks for validations)"
        )
    return (
        f"validation by {now}, because {usual} would cost more than {SHARE:.0%} of the making's operations "
        "(--validation-networks and, where there are any, --validation-steps ask for more)"
    )


class Watch:
    """Shows how far validations are, and says what all of them take, once their first steps have been timed.

    Args:
        session: whose run it is.
        validation: of the run.
        price: of its validations; None if it is not known.
    """

    def __init__(self, session: Session, validation: Validation, price: Price | None) -> None:
        self.session, self.validation, self.said = session, validation, False
        self.begun = 0.0
        self.bar: Bar | None = None
        trained = 0.0 if price is None else validation.units * price.step
        # What follows the training, as a part of it.
        self.rest = price.network / trained if price is not None and trained else 0.0

    def progress(self, place: int, networks: int, left: int) -> Progress:
        """Return the progress of one of this process's networks of a validation, the first of `left` to be made."""
        units = self.validation.units
        if place == 0:
            self.bar = None if self.session.progress is None else Bar("validation", self.session)
            self.begun = time.monotonic()
        return lambda step, _, values: self._show(place * units + step, networks * units, left)

    def _show(self, step: int, total: int, left: int) -> None:
        if not self.said:
            self.said = True
            seconds = (time.monotonic() - self.begun) / step * total * left * (1 + self.rest)
            if seconds >= LONG:
                times = f"{left} time{'s' * (left > 1)}"
                self.session.tell(f"validation: {times} {self.validation}, about {in_time(seconds)} in all")
        if self.bar is not None:
            self.bar(step, total, {})
        if step >= total:
            self.bar = None
