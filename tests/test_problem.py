import pytest
import torch

from ddcore.errors import UsageError
from ddcore.problem import Problem


@pytest.mark.parametrize(
    ("budget", "balanced", "said"),
    [
        (2000, True, "--budget 2000 is more than the 120 members of toy to choose from"),
        (21, True, "--budget 21 cannot be shared evenly by 2 classes: take 20 or 22"),
        (1, True, "take 2"),
    ],
)
def test_a_budget_that_cannot_be_had_is_refused(toy, budget, balanced, said):
    with pytest.raises(UsageError, match=said):
        Problem(toy, budget, torch.arange(120), balanced=balanced)


def test_the_pool_is_shared_by_the_classes_unless_the_problem_is_unbalanced(toy):
    pool = torch.arange(40, 100)
    parts = Problem(toy, 20, pool).groups()
    assert [count for _, count in parts] == [10, 10]
    assert all(bool((toy.train.y[members] == k).all()) for k, (members, _) in enumerate(parts))
    (members, count), *rest = Problem(toy, 21, pool, balanced=False).groups()
    assert torch.equal(members, pool) and count == 21 and not rest


def test_a_class_that_is_too_small_is_named(toy):
    pool = torch.cat([(toy.train.y == 0).nonzero().flatten()[:3], (toy.train.y == 1).nonzero().flatten()])
    with pytest.raises(UsageError, match="asks for 4 members of class 'low', which has 3"):
        Problem(toy, 8, pool).groups()
