import pytest
import torch

from ddcore.errors import UsageError
from ddcore.problem import Problem


@pytest.mark.parametrize(
    ("budget", "proportions", "said"),
    [
        (2000, "balanced", "--budget 2000 is more than the 120 members of toy to choose from"),
        (21, "balanced", "--budget 21 cannot be shared evenly by 2 classes: take 20 or 22"),
        (1, "balanced", "take 2"),
    ],
)
def test_a_budget_that_cannot_be_had_is_refused(toy, budget, proportions, said):
    with pytest.raises(UsageError, match=said):
        Problem(toy, budget, torch.arange(120), proportions=proportions)


def test_the_pool_is_shared_by_the_classes(toy):
    pool = torch.arange(40, 100)
    parts = Problem(toy, 20, pool).groups()
    assert [count for _, count in parts] == [10, 10]
    assert all(bool((toy.train.y[members] == k).all()) for k, (members, _) in enumerate(parts))


def pool_of(toy, sizes) -> torch.Tensor:
    """A pool with so many members of each class."""
    return torch.cat([(toy.train.y == k).nonzero().flatten()[:size] for k, size in enumerate(sizes)])


@pytest.mark.parametrize(
    ("sizes", "budget", "counts"),
    [
        ((60, 60), 20, [10, 10]),
        ((30, 10), 20, [15, 5]),
        ((30, 10), 21, [16, 5]),
        ((30, 10), 40, [30, 10]),
        ((50, 1), 10, [9, 1]),
        ((50, 1), 2, [1, 1]),
        ((7, 0), 5, [5, 0]),
        ((6, 5), 10, [5, 5]),
    ],
)
def test_classes_have_the_shares_of_the_data_and_one_member_at_least(toy, sizes, budget, counts):
    problem = Problem(toy, budget, pool_of(toy, sizes), proportions="data")
    assert problem.counts == counts and sum(counts) == budget
    assert [count for _, count in problem.groups()] == [count for count in counts if count]
    assert all(count <= len(members) for members, count in problem.groups())


def test_fewer_members_than_classes_are_refused(toy):
    with pytest.raises(UsageError, match="--budget 1 is less than one member of each of the 2 classes: take at least"):
        Problem(toy, 1, pool_of(toy, (30, 10)), proportions="data").groups()


def test_a_class_that_is_too_small_is_named(toy):
    pool = torch.cat([(toy.train.y == 0).nonzero().flatten()[:3], (toy.train.y == 1).nonzero().flatten()])
    with pytest.raises(UsageError, match="asks for 4 members of class 'low', which has 3"):
        Problem(toy, 8, pool).groups()
