"""The contract of a selector: a dataclass of options that chooses real members."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from ddcore.data import Task
from ddcore.options import group, option
from ddcore.problem import PROPORTIONS, PROPORTIONS_FLAGS, PROPORTIONS_HELP, Problem
from ddcore.runtime import Json, Session
from ddcore.training import Labels


@dataclass(frozen=True)
class Selection:
    """What a selector chose.

    Attributes:
        members: ``(budget,)`` int64 indices into the training set.
        notes: JSON values about the choice, which are kept with the set.
        pixels: ``(budget, C, H, W)`` uint8, what the set holds in place of the members; None for the members.
        tiles: real images per side that each of these pixels shows.
    """

    members: Tensor
    notes: Mapping[str, Json] = field(default_factory=dict)
    pixels: Tensor | None = None
    tiles: int = 1


@dataclass(frozen=True)
class Selector:
    """A way to choose real members. A subclass gives `select`, or `selection` if it has notes about its choice.

    Attributes:
        name: that it is called by.
        kinds: of tasks that it reads: ``images``, ``text``.
        teacher_for: the kinds of tasks whose members it cannot choose without a teacher.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]] = ("images",)
    teacher_for: ClassVar[tuple[str, ...]] = ()

    proportions: str = option("balanced", PROPORTIONS_HELP, choices=PROPORTIONS, flags=PROPORTIONS_FLAGS)
    labels: Labels = group(Labels("hard", 2.0), choices={"kind": ("hard", "soft")})

    def needs_teacher(self, kind: str) -> bool:
        """Return whether it cannot do without a teacher on this kind of task: to choose, or for the labels."""
        return kind in self.teacher_for or self.labels.kind == "soft"

    @property
    def seeded(self) -> bool:
        """Whether the choice depends on the problem's seed: then another seed gives another set."""
        return True

    def pool_of(self, task: Task) -> Tensor:
        """Return the members to choose from: ``(P,)`` int64 training indices, all of them.

        The settings of the selectors were chosen by validation, so the validation split may be chosen, too.
        """
        return torch.arange(len(task.train))

    def select(self, problem: Problem, session: Session) -> Tensor:
        """Return the chosen members: ``(budget,)`` int64 indices into the training set.

        Raises:
            UsageError: the budget cannot be had from the pool, or what the selector needs is missing.
        """
        return self.selection(problem, session).members

    def selection(self, problem: Problem, session: Session) -> Selection:
        """Return the chosen members with notes about the choice. What is raised is the same as in `select`."""
        return Selection(self.select(problem, session))
