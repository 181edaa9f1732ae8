import pytest
import torch

from ddcore.errors import UsageError
from ddcore.nets.registry import build_net
from ddcore.problem import Problem
from ddcore.runtime.session import Session
from ddcore.selection.forgetting import Forgetting, Watch, forgetting_score


def test_by_hand():
    # Members: always right; forgotten once; forgotten twice; never right. Four rounds.
    right = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 0, 0]], dtype=torch.bool)
    assert forgetting_score(right).tolist() == [0.0, 1.2, 2.4, 4.8]


def test_a_member_learned_late_is_easier_than_one_forgotten():
    right = torch.tensor([[0, 1], [0, 0], [1, 1]], dtype=torch.bool)
    late, forgotten = forgetting_score(right).tolist()
    assert late < forgotten


def test_texts_are_watched_on_a_network_that_is_trained_step_by_step(review_task):
    problem = Problem(review_task, 8, review_task.fit)
    chosen = Forgetting(share=0.02, rounds=2).select(problem, Session())
    assert torch.equal(chosen, Forgetting(net="bag", share=0.02, rounds=2).select(problem, Session()))
    with pytest.raises(UsageError, match=r"'linear' is fitted at once: .* --net bag --dataset imdb --budget 8"):
        Forgetting(net="linear").select(problem, Session())


def test_a_network_that_was_asked_goes_on_in_training_mode(toy):
    net = build_net("mlp", toy, 0).train()
    watch = Watch(net, Problem(toy, 2, toy.fit), 2, Session())
    for step, rounds in ((4, 0), (5, 1), (6, 1), (10, 2)):
        watch(step, 10, {})
        assert len(watch.right) == rounds and net.training
    assert torch.equal(watch.right[0], watch.right[1]) and len(watch.right[0]) == len(toy.fit)
