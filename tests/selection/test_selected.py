import pytest
import torch

from ddcore.errors import UsageError
from ddcore.selection.selected import check_budget, member_set
from ddcore.teacher import Teacher


def test_a_budget_that_classes_cannot_share_names_the_nearest(toy):
    with pytest.raises(UsageError, match="take 2 or 4"):
        check_budget(3, toy, 120, balanced=True)
    check_budget(3, toy, 120, balanced=False)


def test_a_budget_beyond_the_set_is_refused(toy):
    with pytest.raises(UsageError, match="more than the 120 members"):
        check_budget(122, toy, 120, balanced=True)


def test_members_are_the_real_ones_with_the_teachers_labels(toy):
    teacher = Teacher(torch.randn(120, 2), None, "mlp", "t")
    chosen = torch.tensor([5, 2])
    made = member_set(toy, chosen, "random", "soft", 4.0, teacher, {})
    assert torch.equal(made.x, toy.train.x[chosen]) and torch.equal(made.soft, teacher.logits[chosen])
    assert made.y.tolist() == [1, 0] and made.temperature == 4.0
    assert member_set(toy, chosen, "random", "hard", 4.0, teacher, {}).soft is None
