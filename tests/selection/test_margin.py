from dataclasses import replace

import pytest
import torch

from ddcore.data.examples import Examples
from ddcore.errors import UsageError
from ddcore.problem import Problem
from ddcore.runtime.session import Session
from ddcore.selection import margin
from ddcore.selection.margin import Margin, margins
from ddcore.training.teacher import Teacher


def test_by_hand():
    logits = torch.tensor([[1.0, 3.0, 2.0], [5.0, 0.0, 1.0]])
    assert margins(logits, torch.tensor([1, 2])).tolist() == [1.0, -4.0]


def test_the_worst_are_dropped_and_the_next_ones_chosen(toy):
    right = torch.linspace(-1, 1, len(toy.train))
    logits = torch.zeros(len(right), 2)
    logits[torch.arange(len(right)), toy.train.y] = right
    chosen = Margin(folds=0, drop=0.05).select(
        Problem(toy, 20, torch.arange(120), Teacher(logits, None, "x", ""), 0, torch.device("cpu")), Session()
    )
    # Of each class's 60, in the order of the members, 3 are dropped and 10 taken.
    assert sorted(chosen.tolist()) == list(range(6, 26))


def test_a_mislabelled_review_is_found_out_of_fold(review_task):
    y = review_task.train.y.clone()
    y[5] = 1 - y[5]
    task = replace(review_task, train=Examples(review_task.train.x, y))
    chosen = Margin(drop=0.03).select(Problem(task, 76, torch.arange(80), None, 0, torch.device("cpu")), Session())
    assert len(chosen) == 76 and 5 not in chosen.tolist()


def test_impossible_folds_are_refused(toy):
    pool = torch.arange(120)
    with pytest.raises(UsageError, match="--teacher"):
        Margin(folds=0).select(Problem(toy, 20, pool, None, 0, torch.device("cpu")), Session())
    with pytest.raises(UsageError, match="--folds 1"):
        Margin(folds=1).select(Problem(toy, 20, pool, None, 0, torch.device("cpu")), Session())


def test_each_member_is_judged_by_a_network_that_never_saw_it(toy, monkeypatch):
    trained, judged = [], []

    def rows(x):
        return {tuple(each) for each in x.flatten(1).tolist()}

    def train(net, task, examples, recipe, setting):
        trained.append(rows(examples.x[setting.members]))

    def scored(net, problem, session, score, members):
        judged.append(rows(problem.task.train.x[members]))
        return score(torch.zeros(len(members), 2), problem.task.train.y[members])

    monkeypatch.setattr(margin, "train", train)
    monkeypatch.setattr(margin, "scored", scored)
    Margin(net="mlp", folds=3).select(Problem(toy, 20, toy.fit, None, 0, torch.device("cpu")), Session())
    pool = rows(toy.train.x[toy.fit])
    assert len(pool) == len(toy.fit) and len(judged) == 3 and sum(map(len, judged)) == len(pool)
    for seen, asked in zip(trained, judged, strict=True):
        assert not seen & asked and seen | asked == pool
