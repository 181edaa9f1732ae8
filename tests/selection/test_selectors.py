"""What holds for every selector."""

from pathlib import Path

import pytest
import torch
from toys import saved_networks, short_selector

from ddcore import draws
from ddcore.data.task import Task
from ddcore.errors import UsageError
from ddcore.options import changed, options_of
from ddcore.problem import Problem
from ddcore.runtime.session import Session
from ddcore.selection.registry import SELECTORS
from ddcore.selection.selected import selected_set
from ddcore.selection.selector import Selector
from ddcore.training.teacher import Labels, Teacher

DEVICE = torch.device("cpu")


@pytest.fixture
def teacher(toy: Task, tmp_path: Path) -> Teacher:
    features = toy.inputs(toy.train.x).flatten(1)
    signal = features[:, :32].mean(1) - features[:, 32:].mean(1)
    folder = saved_networks(toy, tmp_path / "teacher", "mlp")
    return Teacher(torch.stack([signal, -signal], 1), features, "mlp", "nowhere", folder)


@pytest.mark.parametrize("name", [name for name, cls in SELECTORS.items() if "images" in cls.kinds])
def test_same_seed_same_members_each_once_and_balanced(name, toy, teacher):
    selector = short_selector(name)
    chosen = selector.select(Problem(toy, 20, toy.fit, teacher, 3, DEVICE), Session())
    assert chosen.dtype == torch.int64 and len(chosen.unique()) == 20
    assert torch.isin(chosen, toy.fit).all()
    assert toy.train.y[chosen].bincount().tolist() == [10, 10]
    assert torch.equal(chosen, selector.select(Problem(toy, 20, toy.fit, teacher, 3, DEVICE), Session()))


@pytest.mark.parametrize("name", [name for name, cls in SELECTORS.items() if "images" in cls.kinds])
def test_a_selector_says_whether_it_draws_by_the_seed(name, toy, teacher, monkeypatch):
    keys, real = [], draws.seed_of
    monkeypatch.setattr(draws, "seed_of", lambda *key: keys.append(key) or real(*key))
    selector = short_selector(name)
    selector.select(Problem(toy, 20, toy.fit, teacher, 987654, DEVICE), Session())
    assert selector.seeded is any(987654 in key for key in keys)


def test_margins_of_the_teacher_draw_nothing(toy, teacher):
    selector = changed(short_selector("margin"), {"folds": 0})
    sets = [selector.select(Problem(toy, 20, toy.fit, teacher, seed, DEVICE), Session()) for seed in (0, 1)]
    assert torch.equal(*sets) and not selector.seeded and short_selector("margin").seeded


@pytest.mark.parametrize("name", [name for name, cls in SELECTORS.items() if "images" in cls.kinds])
def test_impossible_budgets_are_refused(name, toy, teacher):
    with pytest.raises(UsageError, match="20 or 22"):
        short_selector(name).select(Problem(toy, 21, toy.fit, teacher, 0, DEVICE), Session())
    with pytest.raises(UsageError, match="more than"):
        short_selector(name).select(Problem(toy, 2000, toy.fit, teacher, 0, DEVICE), Session())


@pytest.mark.parametrize("name", ["herding", "k-center", "k-means", "mutual-information"])
def test_a_teacher_with_features_is_asked_for(name, toy):
    with pytest.raises(UsageError, match=r"train one with python scripts/train_baseline\.py --dataset toy --part fit"):
        short_selector(name).select(Problem(toy, 20, toy.fit, None, 0, DEVICE), Session())


@pytest.mark.parametrize("name", SELECTORS)
def test_every_selector_keeps_the_proportions_of_the_data(name, toy, teacher):
    pool = toy.fit[(toy.train.y[toy.fit] == 0) | (torch.arange(len(toy.fit)) < 40)]
    problem = Problem(toy, 12, pool, teacher, 0, DEVICE, "data")
    chosen = short_selector(name).select(problem, Session())
    assert torch.bincount(toy.train.y[chosen]).tolist() == problem.counts and problem.counts[0] > problem.counts[1]
    assert len(chosen.unique()) == 12


@pytest.mark.parametrize("name", ["herding", "k-center", "k-means", "mutual-information"])
def test_texts_have_features_without_a_teacher_and_a_teacher_s_where_it_has_some(name, review_task):
    selector, y = short_selector(name), review_task.train.y
    alone = selector.select(Problem(review_task, 8, review_task.fit), Session())
    assert y[alone].bincount().tolist() == [4, 4] and len(alone.unique()) == 8
    linear = Teacher(torch.zeros(len(y), 2), None, "linear", "nowhere")
    assert torch.equal(alone, selector.select(Problem(review_task, 8, review_task.fit, linear), Session()))
    features = torch.randn(len(y), 16, generator=torch.Generator().manual_seed(0))
    bag = Teacher(torch.zeros(len(y), 2), features, "bag", "nowhere")
    assert not torch.equal(alone, selector.select(Problem(review_task, 8, review_task.fit, bag), Session()))


def test_a_pool_of_one_class_has_members_of_that_class(toy, teacher):
    pool = toy.fit[toy.train.y[toy.fit] == 0]
    chosen = SELECTORS["random"]().select(Problem(toy, 7, pool, teacher, proportions="data"), Session())
    assert len(chosen) == 7 and torch.isin(chosen, pool).all()
    with pytest.raises(UsageError, match="class 'high', which has 0"):
        SELECTORS["random"]().select(Problem(toy, 8, pool, teacher, 0, DEVICE), Session())


@pytest.mark.parametrize("name", SELECTORS)
def test_every_selector_keeps_the_one_contract(name):
    cls = SELECTORS[name]
    assert issubclass(cls, Selector) and cls.name == name and set(cls.kinds) <= {"images", "text"} and cls.kinds
    assert cls.select is not Selector.select or cls.selection is not Selector.selection
    assert (cls.__doc__ or "").splitlines()[0]
    assert {"proportions", "labels", "temperature", "teacher_share"} <= {each.name for each in options_of(cls)}
    assert cls().labels == Labels("hard", 2.0) and all(
        changed(cls(), {"labels": "soft"}).needs_teacher(kind) for kind in cls.kinds
    )


@pytest.mark.parametrize("name", [name for name, cls in SELECTORS.items() if cls().needs_teacher("images")])
def test_a_selector_that_needs_a_teacher_says_so_at_once(name, toy):
    with pytest.raises(UsageError, match="teacher"):
        short_selector(name).select(Problem(toy, 20, toy.fit), Session())


def test_the_options_of_a_selector_decide_on_the_balance(toy, teacher):
    assert SELECTORS["random"]().pool_of(toy).tolist() == list(range(len(toy.train)))
    pool = torch.cat([(toy.train.y == 0).nonzero().flatten(), (toy.train.y == 1).nonzero().flatten()[:20]])
    made = selected_set(SELECTORS["random"](proportions="data"), Problem(toy, 20, pool, seed=4), Session())
    balanced = selected_set(SELECTORS["random"](), Problem(toy, 20, pool, seed=4), Session())
    assert made.y.bincount().tolist() == [15, 5] and balanced.y.bincount().tolist() == [10, 10]
