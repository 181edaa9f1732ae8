"""What a method that follows gradients has to offer the outer loop."""

from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from ddcore.data import Task
from ddcore.sets import DistilledSet, Origin, Scale
from ddcore.training import Teacher
from ddcore.unroll import Estimate


@dataclass(frozen=True)
class Group:
    """Variables that share a learning rate.

    Attributes:
        variables: name to tensor; the loop changes them in place.
        rate: peak learning rate, in units of the variable per step; a tensor gives parts of a variable their own.
        together: divide a variable's step by the root mean square of its whole gradient, not of each number's own, so
            that numbers which hardly matter hardly move.
    """

    variables: dict[str, Tensor]
    rate: float | Tensor
    together: bool = False


def made_images(
    task: Task,
    method: Any,
    seed: int,
    x: Tensor,
    y: Tensor,
    soft: Tensor | None,
    temperature: float,
    told: dict[str, Any],
) -> DistilledSet:
    """Return synthetic images as a set; the outer loop adds the method's name.

    Args:
        task: the data set that they stand for.
        method: a dataclass, whose fields are recorded.
        seed: of the run.
        x, y: ``(N, C, H, W)`` float32, normalised, and ``(N,)`` int64.
        soft: ``(N, K)`` float32 logits of soft labels, or None.
        temperature: of these.
        told: added to the provenance.
    """
    return DistilledSet(
        kind="images",
        x=x.detach().cpu().clone(),
        y=y.cpu(),
        origin=Origin(
            task.name,
            task.classes,
            "",
            {**asdict(method), "budget": len(y), "seed": seed},
            {"source": task.source, **told},
        ),
        scale=Scale(task.mean, task.std),
        soft=None if soft is None else soft.detach().cpu().clone(),
        temperature=temperature,
    )


@dataclass(frozen=True)
class Part:
    """What one shard of a step gives.

    Attributes:
        gradients: of every variable, by its name.
        values: numbers to log; ``loss`` is among them.
        update: tensors of the method's own state after this shard, for `Synthesis.absorb`.
    """

    gradients: dict[str, Tensor]
    values: dict[str, float]
    update: dict[str, Tensor] = field(default_factory=dict)


class Synthesis(Protocol):
    """A set in the making: the variables and all other state of one run of a method."""

    @property
    def groups(self) -> dict[str, Group]:
        """The variables, in named groups."""

    def shards(self, step: int) -> list[Any]:
        """Return what the step is made of; the same on every process."""

    def gradient(self, shard: Any) -> Part:
        """Return what a shard gives; changes no state, so that any process may compute it."""

    def absorb(self, shard: Any, update: dict[str, Tensor]) -> None:
        """Take over the state that a shard left behind."""

    def score(self, seed: int) -> float:
        """Return the validation accuracy, a fraction, of a fresh network trained on the present set."""

    def decode(self) -> DistilledSet:
        """Return the present set."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return all state that changes, variables included."""

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put such a state in place."""


@runtime_checkable
class Unrolling(Protocol):
    """A synthesis that differentiates through an inner loop, in one of the engine's modes.

    Attributes:
        mode: of `ddcore.unroll.meta_gradient.MODES`.
    """

    mode: str

    def forecast(self) -> Estimate:
        """Return what a meta-gradient will cost, in the quicker mode that fits into memory."""


@runtime_checkable
class GradientMethod(Protocol):
    """A dataclass of hyper-parameters that starts syntheses.

    Attributes:
        steps: outer steps.
        checks: how often the set is validated on the way, besides before the first step.
        check_networks: fresh networks a validation.
    """

    steps: int
    checks: int
    check_networks: int

    def quick(self) -> "GradientMethod":
        """Return the same at toy length, for ``--quick``."""

    def start(self, task: Task, budget: int, teacher: Teacher | None, seed: int, device: torch.device) -> Synthesis:
        """Return the set to begin with; the same on every process."""


@runtime_checkable
class StagedMethod(Protocol):
    """A gradient method that makes its set in stages, each from what the one before it made."""

    steps: int
    checks: int
    check_networks: int

    def quick(self) -> "StagedMethod":
        """Return the same at toy length, for ``--quick``."""

    def stages(self, task: Task, budget: int) -> list[int]:
        """Return the number of members after each stage."""

    def of_stage(self, size: int, last: int) -> "StagedMethod":
        """Return the options of a stage that ends with `size` members, the last one with `last`: its own steps."""

    def start_stage(
        self,
        stage: int,
        earlier: DistilledSet | None,
        task: Task,
        budget: int,
        teacher: Teacher | None,
        seed: int,
        device: torch.device,
    ) -> Synthesis:
        """Return the set that a stage begins with; the same on every process."""
