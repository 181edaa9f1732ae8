from dataclasses import dataclass

import pytest
import torch

from ddcore.errors import UsageError
from ddcore.problem import Problem
from ddcore.runtime.session import Session
from ddcore.selection.selected import selected_set
from ddcore.selection.selector import Selection, Selector
from ddcore.training.teacher import Labels, Teacher


@dataclass(frozen=True)
class Two(Selector):
    """Takes members 5 and 2."""

    def selection(self, problem, session):
        return Selection(torch.tensor([5, 2]), {"reason": "by hand"})


def test_members_are_the_real_ones_with_the_teachers_labels(toy):
    teacher = Teacher(torch.randn(120, 2), None, "mlp", "t")
    problem = Problem(toy, 2, toy.fit, teacher, seed=3)
    made = selected_set(Two(), "two", problem, Labels("soft", 4.0), Session())
    assert torch.equal(made.x, toy.train.x[[5, 2]]) and torch.equal(made.soft, teacher.logits[[5, 2]])
    assert made.y.tolist() == [1, 0] and made.temperature == 4.0 and made.indices.tolist() == [5, 2]
    assert made.options == {"balanced": True, "budget": 2, "seed": 3}
    assert made.provenance == {"source": "made by the tests", "teacher": "mlp", "reason": "by hand"}
    assert "mlp" in made.recipes
    assert selected_set(Two(), "two", problem, Labels("hard", 4.0), Session()).soft is None


def test_soft_labels_need_a_teacher(toy):
    with pytest.raises(UsageError, match="--labels soft needs --teacher"):
        selected_set(Two(), "two", Problem(toy, 2, toy.fit), Labels("soft"), Session())
