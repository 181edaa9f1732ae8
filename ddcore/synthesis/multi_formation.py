"""Multi-formation: the variables of a run are stored images, from which its members are decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ddcore.errors import require
from ddcore.problem import Problem
from ddcore.runtime import JSONObject, Progress, Session
from ddcore.sets import DistilledSet, check_factor, encoded, enlarged, slots_of, stored_gradient
from ddcore.synthesis.contract import Group, Method, Part, Shard, Synthesis
from ddcore.synthesis.validation import Validation
from ddcore.unroll import Estimate

IMAGES = "x"
"""Name of the variable that holds a run's images."""


def begun(
    method: Method, problem: Problem, session: Session, stage: int = 0, earlier: DistilledSet | None = None
) -> Synthesis:
    """Return the set that a stage begins with; with a factor over 1, one whose images are stored several to a slot.

    Args:
        method: of the stage.
        problem: what is asked for; the budget counts stored images.
        session: whose processes may share the start.
        stage: its number.
        earlier: the set of the stage before; None for the first stage.

    Raises:
        UsageError: as `Method.start_stage`, or the factor does not fit the data.
    """
    factor, task = method.factor, problem.task
    if factor == 1:
        return method.start_stage(stage, earlier, problem, session)
    require(task.kind == "images", f"--factor {factor} is for images: leave it out for {task.name}")
    check_factor(factor, *task.shape[1:])
    tiles = factor**2
    members = replace(problem, budget=tiles * problem.budget, tiles=tiles)
    return MultiFormation(method.start_stage(stage, earlier, members, session), problem)


class MultiFormation(Synthesis):
    """A synthesis whose members are the enlarged tiles of its stored images.

    The synthesis inside sees the decoded members, as if each were stored by itself: it matches, augments, trains on
    and validates these. Decoding is linear, so the gradient in them gives that in the stored images. Each tile begins
    as a member of its own, made smaller: as the tile whose enlarged image is nearest to it.

    Source: Kim et al. 2022, IDC, section 4.1, with one factor and bilinear interpolation. Deviates: tiles begin as
    least-squares reductions, where the code takes every second pixel.

    Attributes:
        x: ``(S, C, H, W)`` float32, normalised, the stored images class by class; moved by the outer loop.
        places: ``(factor**2, S)`` int64 on the device, the members of each stored image.

    Args:
        inner: of all members, started for ``factor**2`` times the budget.
        problem: what is asked for; the budget counts stored images.
    """

    def __init__(self, inner: Synthesis, problem: Problem) -> None:
        self.inner, self.problem, self.method = inner, problem, inner.method
        self.factor = inner.method.factor
        members = inner.variables[IMAGES]
        self.places = slots_of(inner.decode().y, self.factor).to(members.device)
        self.x = encoded(members.detach()[self.places], self.factor)

    @property
    def groups(self) -> dict[str, Group]:
        """The groups of the synthesis inside, with the stored images in place of the members."""
        return {name: self._stored(group) for name, group in self.inner.groups.items()}

    @property
    def validation(self) -> Validation:  # type: ignore[override]
        """The size of a validation."""
        return self.inner.validation

    @validation.setter
    def validation(self, validation: Validation) -> None:
        self.inner.validation = validation

    @property
    def mode(self) -> str:  # type: ignore[override]
        """The mode of the unroll engine."""
        return self.inner.mode

    @mode.setter
    def mode(self, mode: str) -> None:
        self.inner.mode = mode

    @property
    def progress(self) -> Progress | None:  # type: ignore[override]
        """The progress of the training that `score` does."""
        return self.inner.progress

    @progress.setter
    def progress(self, progress: Progress | None) -> None:
        self.inner.progress = progress

    def shards(self, step: int) -> Sequence[Shard]:
        """Return the parts of a step."""
        return self.inner.shards(step)

    def gradient(self, shard: Shard) -> Part:
        """Return what a shard gives."""
        return self.gradients([shard])[0]

    def gradients(self, shards: Sequence[Shard]) -> list[Part]:
        """Return what shards give, the gradients in stored images."""
        return [
            replace(part, gradients={**part.gradients, IMAGES: self._back(part.gradients[IMAGES])})
            for part in self._decoded().gradients(shards)
        ]

    def absorb(self, shard: Shard, update: dict[str, Tensor]) -> None:
        """Take over the state that a shard left behind."""
        self.inner.absorb(shard, update)

    def forecast(self) -> Estimate | None:
        """Return what a meta-gradient costs; None without an unroll."""
        return self._decoded().forecast()

    def use_chunk(self, chunk: int) -> None:
        """Compute steps with at most so many members in a network at once; 0 for no limit."""
        self.inner.use_chunk(chunk)

    def widest(self) -> tuple[int, float]:
        """Return the largest number of members in a network at once, and the bytes for each of them."""
        return self.inner.widest()

    def step_operations(self) -> float:
        """Return about how many operations an outer step takes."""
        return self.inner.step_operations()

    def trial_operations(self) -> tuple[float, float]:
        """Return the operations of a network of a validation apart from training steps, and of one of these."""
        return self.inner.trial_operations()

    def with_options(self, method: Method) -> Synthesis:
        """Return the same synthesis under other options."""
        trial = super().with_options(method)
        assert isinstance(trial, MultiFormation)
        trial.inner = self.inner.with_options(method)
        return trial

    def score(self, seed: int) -> float:
        """Return the validation accuracy, a fraction, of a fresh network trained on the decoded members."""
        return self._decoded().score(seed)

    def decode(self, notes: JSONObject | None = None) -> DistilledSet:
        """Return the decoded members, whose origin has the factor and the budget in stored images."""
        small = self._decoded().decode(notes)
        options = {**small.origin.options, "budget": self.problem.budget}
        return replace(small, origin=replace(small.origin, options=options, factor=self.factor))

    def memory(self) -> dict[str, Tensor]:
        """Return all state that changes besides the variables."""
        return self.inner.memory()

    def remember(self, state: dict[str, Tensor]) -> None:
        """Put such a state in place."""
        self.inner.remember(state)

    @torch.no_grad()
    def _decoded(self) -> Synthesis:
        """Return the synthesis inside, its images decoded from the present stored ones."""
        self.inner.variables[IMAGES][self.places] = enlarged(self.x, self.factor)
        return self.inner

    def _back(self, gradient: Tensor) -> Tensor:
        """Return the gradient in the stored images ``(S, C, H, W)``, given that in the members."""
        return stored_gradient(gradient[self.places], self.factor)

    def _stored(self, group: Group) -> Group:
        """Return a group with the stored images in place of the members."""
        if IMAGES not in group.variables:
            return group
        # The members of a stored image have one rate.
        rate = group.rate[self.places[0]] if isinstance(group.rate, Tensor) else group.rate
        return replace(group, variables={**group.variables, IMAGES: self.x}, rate=rate)
