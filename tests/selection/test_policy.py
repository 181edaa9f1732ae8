import math

import pytest
import torch

from ddcore.selection.policy import PRIOR, Policy, log_chance


def test_the_chance_of_a_draw_by_hand():
    p = torch.tensor([0.5, 0.3, 0.2])
    found = log_chance(p.log() + 7, torch.tensor([[0, 1], [2, 0]]))
    assert found.exp().tolist() == pytest.approx([0.5 * 0.3 / 0.5, 0.2 * 0.5 / 0.8])


def test_chances_of_all_draws_sum_to_one():
    logits = torch.tensor([0.3, -2.0, 1.0, 60.0])
    every = torch.tensor([[a, b] for a in range(4) for b in range(4) if a != b])
    assert log_chance(logits, every).exp().sum().item() == pytest.approx(1, abs=1e-5)
    assert log_chance(logits, torch.tensor([[0, 1, 2, 3]])).isfinite().all()


def policy(rate: float = 0.3, seed: int = 0) -> Policy:
    first = torch.arange(6) < 2
    return Policy([torch.zeros(6, 1)], [2], [first], rate, seed)


def test_draws_have_the_chances_of_the_softmax():
    drawn = policy().draw(0, 20_000)[0]
    assert (drawn[:, 0] != drawn[:, 1]).all()
    chance = torch.tensor([math.exp(PRIOR)] * 2 + [1.0] * 4)
    share = drawn[:, 0].bincount(minlength=6) / len(drawn)
    torch.testing.assert_close(share, chance / chance.sum(), atol=0.01, rtol=0)


def test_draws_are_keyed():
    assert torch.equal(policy().draw(3, 5)[0], policy().draw(3, 5)[0])
    assert not torch.equal(policy().draw(3, 5)[0], policy().draw(4, 5)[0])
    assert not torch.equal(policy().draw(3, 5)[0], policy(seed=1).draw(3, 5)[0])


def test_rewarded_members_become_the_likeliest():
    learner = policy()
    assert learner.likeliest()[0].tolist() == [0, 1]
    for step in range(80):
        drawn = learner.draw(step, 8)
        learner.learn(drawn, ((drawn[0] == 4) | (drawn[0] == 5)).double().sum(1))
    assert sorted(learner.likeliest()[0].tolist()) == [4, 5]


def test_weights_carry_over_to_members_never_drawn():
    trait = torch.linspace(-1, 1, 400)[:, None]
    learner = Policy([trait], [5], [torch.zeros(400, dtype=torch.bool)], 0.3, 0)
    for step in range(60):
        drawn = learner.draw(step, 8)
        learner.learn(drawn, trait[drawn[0], 0].sum(1).double())
    assert learner.weights.item() > 0.5


def test_equal_rewards_teach_nothing():
    learner = policy()
    for step in range(5):
        learner.learn(learner.draw(step, 8), torch.ones(8, dtype=torch.float64))
    assert torch.equal(learner.own[0].detach(), PRIOR * (torch.arange(6) < 2).float())
