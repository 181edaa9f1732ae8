"""What holds for every selector."""

import pytest
import torch

from ddcore.data.task import Task
from ddcore.errors import UsageError
from ddcore.selection.choice import Choice
from ddcore.selection.registry import SELECTORS
from ddcore.training.teacher import Teacher

DEVICE = torch.device("cpu")


@pytest.fixture
def teacher(toy: Task) -> Teacher:
    features = toy.inputs(toy.train.x).flatten(1)
    signal = features[:, :32].mean(1) - features[:, 32:].mean(1)
    return Teacher(torch.stack([signal, -signal], 1), features, "made by hand", "nowhere")


def short(name: str):
    cls = SELECTORS[name]
    fields = cls.__dataclass_fields__
    options = {"share": 0.02, "net": "mlp", "rounds": 2, "episodes": 8, "judges": 1}
    return cls(**{k: v for k, v in options.items() if k in fields})


@pytest.mark.parametrize("name", [name for name, cls in SELECTORS.items() if "images" in cls.kinds])
def test_same_seed_same_members_each_once_and_balanced(name, toy, teacher):
    selector = short(name)
    chosen = selector.select(Choice(toy, toy.fit, 20, 3, DEVICE, teacher))
    assert chosen.dtype == torch.int64 and len(chosen.unique()) == 20
    assert torch.isin(chosen, toy.fit).all()
    assert toy.train.y[chosen].bincount().tolist() == [10, 10]
    assert torch.equal(chosen, selector.select(Choice(toy, toy.fit, 20, 3, DEVICE, teacher)))


@pytest.mark.parametrize("name", [name for name, cls in SELECTORS.items() if "images" in cls.kinds])
def test_impossible_budgets_are_refused(name, toy, teacher):
    with pytest.raises(UsageError, match="20 or 22"):
        short(name).select(Choice(toy, toy.fit, 21, 0, DEVICE, teacher))
    with pytest.raises(UsageError, match="more than"):
        short(name).select(Choice(toy, toy.fit, 2000, 0, DEVICE, teacher))


@pytest.mark.parametrize("name", ["herding", "k-center", "k-means", "mutual-information"])
def test_a_teacher_with_features_is_asked_for(name, toy):
    with pytest.raises(UsageError, match="teacher"):
        short(name).select(Choice(toy, toy.fit, 20, 0, DEVICE))


def test_unbalanced_takes_the_whole_pool(toy, teacher):
    pool = toy.fit[toy.train.y[toy.fit] == 0]
    chosen = SELECTORS["random"](balanced=False).select(Choice(toy, pool, 7, 0, DEVICE, teacher))
    assert len(chosen) == 7 and torch.isin(chosen, pool).all()
    with pytest.raises(UsageError, match="class 'high', which has 0"):
        SELECTORS["random"]().select(Choice(toy, pool, 8, 0, DEVICE, teacher))
