import pytest
import torch

from ddcore.errors import UsageError
from ddcore.selection.selected import blended, check_budget, member_set
from ddcore.training.teacher import Teacher


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


def test_soft_labels_can_be_blended_with_the_datas_own():
    logits = torch.tensor([[0.0, 0.0], [2.0, -2.0]])
    soft = blended(logits, torch.tensor([1, 1]), 2.0, 0.5)
    expected = torch.stack([torch.tensor([0.25, 0.75]), (logits[1] / 2).softmax(0) / 2 + torch.tensor([0.0, 0.5])])
    torch.testing.assert_close((soft / 2).softmax(1), expected)
    assert torch.equal(blended(logits, torch.tensor([1, 1]), 2.0, 1.0), logits)
