from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from ddcore import DistilledSet
from ddcore.data.tokeniser import encode
from ddcore.errors import UsageError
from ddcore.problem import Problem
from ddcore.runtime.session import Session
from ddcore.selection.selected import selected_set
from ddcore.selection.selector import Selection, Selector
from ddcore.training.teacher import Labels, Teacher


@dataclass(frozen=True)
class Two(Selector):
    """Takes members 5 and 2."""

    name: ClassVar[str] = "two"

    def selection(self, problem, session):
        return Selection(torch.tensor([5, 2]), {"reason": "by hand"})


def test_members_are_the_real_ones_with_the_teachers_labels(toy):
    teacher = Teacher(torch.randn(120, 2), None, "mlp", "t")
    problem = Problem(toy, 2, toy.fit, teacher, seed=3)
    made = selected_set(Two(labels=Labels("soft", 4.0)), problem, Session())
    assert torch.equal(made.x, toy.train.x[[5, 2]]) and torch.equal(made.soft, teacher.logits[[5, 2]])
    assert made.y.tolist() == [1, 0] and made.temperature == 4.0 and made.indices.tolist() == [5, 2]
    options = {"proportions": "balanced", "labels": "soft", "temperature": 4.0, "teacher_share": 1.0}
    assert made.method == "two" and made.options == {**options, "budget": 2, "seed": 3}
    assert made.provenance == {"source": "made by the tests", "teacher": "mlp", "reason": "by hand"}
    assert "mlp" in made.recipes
    assert selected_set(Two(labels=Labels("hard", 4.0)), problem, Session()).soft is None


def test_a_soft_label_can_be_mixed_with_the_datas(toy):
    teacher = Teacher(torch.randn(120, 2), None, "mlp", "t")
    made = selected_set(Two(labels=Labels("soft", 4.0, 0.25)), Problem(toy, 2, toy.fit, teacher), Session())
    mixed = 0.25 * (teacher.logits[[5, 2]] / 4.0).softmax(1) + 0.75 * torch.eye(2)[[1, 0]]
    torch.testing.assert_close(made.targets(), mixed)


def test_soft_labels_need_a_teacher(toy):
    with pytest.raises(UsageError, match="--labels soft needs --teacher"):
        selected_set(Two(labels=Labels("soft")), Problem(toy, 2, toy.fit), Session())


def test_a_set_is_of_the_kind_of_its_task(toy, review_task):
    from ddcore.selection.random_choice import RandomChoice

    kinds = [selected_set(RandomChoice(), Problem(task, 4, task.fit), Session()).kind for task in (toy, review_task)]
    assert kinds == ["images", "tokens"]


def test_selected_texts_keep_their_source_text(toy, review_task, tmp_path):
    from ddcore.selection.random_choice import RandomChoice

    task = review_task.cut(40, 10)
    selected_set(RandomChoice(), Problem(task, 4, task.fit), Session()).save(tmp_path)
    small = DistilledSet.load(tmp_path)
    whole = review_task.train.source.load()
    assert len(small.texts) == 4 and set(small.texts) <= set(whole)
    again = encode(task.tokeniser, small.texts)
    assert torch.equal(again.values, small.x.values) and torch.equal(again.offsets, small.x.offsets)
    assert selected_set(RandomChoice(), Problem(toy, 4, toy.fit), Session()).texts == ()
