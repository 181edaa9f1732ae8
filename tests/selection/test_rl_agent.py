from dataclasses import replace

import pytest
import select_subset
import torch

from ddcore.data.examples import Examples
from ddcore.data.images import image_task
from ddcore.data.task import Task
from ddcore.errors import UsageError
from ddcore.options import changed
from ddcore.problem import Problem
from ddcore.runtime.session import Session
from ddcore.selection import rl_agent as module
from ddcore.selection.policy import Policy
from ddcore.selection.rewards import ClosedForm, ShortTraining
from ddcore.selection.rl_agent import PRESETS, RLAgent
from ddcore.selection.selected import selected_set

CPU = torch.device("cpu")


@pytest.fixture
def spoilt() -> tuple[Task, torch.Tensor]:
    """Dim stripes in noise, two fifths with the wrong label, but for the validation part; and which are wrong."""
    draws = torch.Generator().manual_seed(0)
    y = torch.arange(800) % 2
    x = torch.randint(0, 100, (800, 1, 8, 8), generator=draws)
    for label, row in ((0, 1), (1, 5)):
        x[y == label, :, row : row + 2] += 50
    clean = Examples(x.to(torch.uint8), y)
    task = image_task("dim", ("low", "high"), clean, lambda: clean, "made by the tests")
    wrong = task.fit[torch.randperm(len(task.fit), generator=draws)[: 2 * len(task.fit) // 5]]
    y = y.clone()
    y[wrong] = 1 - y[wrong]
    return replace(task, train=replace(clean, y=y)), wrong


def quick(**options) -> RLAgent:
    return changed(RLAgent(), {"episodes": 400, "judges": 1, "net": "mlp", **options})


def test_wrong_labels_are_dropped_and_the_gain_is_told(spoilt):
    task, wrong = spoilt
    first, again = (quick().selection(Problem(task, 20, task.fit, None, 0, CPU), Session()) for _ in range(2))
    assert torch.isin(first.members, wrong).sum() <= 2
    assert first.notes["validation"] > first.notes["start_validation"] + 0.1 and not first.notes["kept_start"]
    assert torch.equal(first.members, again.members) and again.notes == first.notes


def test_the_validation_part_is_never_chosen(toy):
    everyone = torch.arange(len(toy.train))
    chosen = quick(episodes=8).select(Problem(toy, 100, everyone, None, 0, CPU), Session())
    assert not torch.isin(chosen, toy.validation).any()
    with pytest.raises(UsageError, match="more than the 108 members"):
        quick(episodes=8).select(Problem(toy, 110, everyone, None, 0, CPU), Session())


def test_the_reward_comes_from_members_that_neither_judge_nor_can_be_chosen(toy, monkeypatch):
    asked = []
    accuracies = module.ClosedForm.accuracies

    def seen(self, chosen, members):
        asked.append((chosen, members))
        return accuracies(self, chosen, members)

    monkeypatch.setattr(module.ClosedForm, "accuracies", seen)
    quick(episodes=16).selection(Problem(toy, 20, toy.fit, None, 0, CPU), Session())
    rewarded = [members for chosen, members in asked if len(chosen) > 1]
    assert rewarded and any(torch.equal(members, toy.validation) for _, members in asked)
    for members in rewarded:
        assert len(members) and not torch.isin(members, toy.validation).any()
        assert not torch.isin(members, torch.cat([each.flatten() for each, _ in asked])).any()
        assert torch.isin(members, toy.fit).all()


def test_a_budget_that_leaves_no_member_to_be_rewarded_on_is_refused(toy):
    budget = len(toy.fit) // len(toy.classes) * len(toy.classes)
    with pytest.raises(UsageError, match="take a smaller budget"):
        quick(episodes=8).select(Problem(toy, budget, toy.fit[:budget], None, 0, CPU), Session())


def test_no_worse_than_the_start_by_its_own_validation(toy):
    # The stripes are learned by any 20 members: there is nothing to gain, and the start stays.
    selection = quick(episodes=16).selection(Problem(toy, 20, toy.fit, None, 0, CPU), Session())
    chosen, notes = selection.members, selection.notes
    assert notes["validation"] >= notes["start_validation"]
    assert notes["kept_start"] and notes["episodes"] == 16
    random = select_subset.SELECTORS["random"]().select(Problem(toy, 20, toy.fit, None, 0, CPU), Session())
    assert sorted(chosen.tolist()) == sorted(random.tolist())


def test_it_stops_when_nothing_is_gained(toy):
    selection = quick(episodes=5000, patience=1).selection(Problem(toy, 20, toy.fit, None, 0, CPU), Session())
    assert selection.notes["episodes"] <= 600


def test_rewards_of_short_trainings(toy):
    selection = quick(episodes=8, reward_steps=5).selection(Problem(toy, 20, toy.fit, None, 0, CPU), Session())
    assert len(selection.members.unique()) == 20 and selection.notes["episodes"] == 8


def test_presets_name_options_and_given_options_win():
    assert RLAgent(preset="mps2u-mi").settings == {"start": "mutual-information", "episodes": 2000}
    assert RLAgent(preset="mps2u", start="random", episodes=9).settings == {"start": "random", "episodes": 9}
    assert not any(RLAgent(preset=name).needs_teacher("text") for name in PRESETS)
    assert {name: RLAgent(preset=name).needs_teacher("images") for name in PRESETS} == {
        "mps1": False,
        "mps2": False,
        "mps2u": True,
        "mps2u-mi": True,
    }


def test_what_is_not_known_is_refused(toy):
    with pytest.raises(UsageError, match="unknown preset 'mps3'; known: mps1, mps2, mps2u, mps2u-mi"):
        quick(preset="mps3").select(Problem(toy, 20, toy.fit, None, 0, CPU), Session())
    with pytest.raises(UsageError, match="unknown selector of --start 'rl-agent'"):
        quick(start="rl-agent").select(Problem(toy, 20, toy.fit, None, 0, CPU), Session())
    with pytest.raises(UsageError, match="--start k-means needs --teacher"):
        quick(preset="mps2u").select(Problem(toy, 20, toy.fit, None, 0, CPU), Session())
    with pytest.raises(UsageError, match="2 validation members"):
        quick().select(Problem(replace(toy, validation=toy.validation[:1]), 20, toy.fit, None, 0, CPU), Session())


def test_the_script_prints_the_gain(spoilt):
    task, _ = spoilt
    made = selected_set(quick(episodes=8), Problem(task, 20, task.fit), Session())
    noted = made.described(provenance={"validation": 0.8214, "start_validation": 0.803})
    assert select_subset.gain(noted) == "validation 82.1 % from 80.3 % of its starting ranking (random)"


def test_texts_are_chosen_by_the_same_features_and_judged_by_their_own_network(review_task):
    agent = changed(RLAgent(), {"preset": "mps2u", "episodes": 8, "judges": 1})
    problem = Problem(review_task, 8, review_task.fit)
    first, again = (agent.selection(problem, Session()) for _ in range(2))
    assert len(first.members.unique()) == 8 and first.notes["start"] == "k-means"
    assert torch.equal(first.members, again.members) and first.notes["validation"] > 0.5


@pytest.mark.parametrize("reward_steps", [0, 2])
def test_what_judges_the_agent_never_rewards_it(toy, monkeypatch, reward_steps):
    asked: list[set[int]] = []
    rewarding: set[int] = set()

    def accuracies(reward, chosen, members):
        asked.append(set(members.tolist()))
        return torch.rand(len(chosen), generator=torch.Generator().manual_seed(len(asked)), dtype=torch.float64)

    def learn(policy, drawn, rewards):
        rewarding.update(asked.pop())

    for judge in (ClosedForm, ShortTraining):
        monkeypatch.setattr(judge, "accuracies", accuracies)
    monkeypatch.setattr(Policy, "learn", learn)
    agent = quick(episodes=8, reward_steps=reward_steps)
    chosen = agent.select(Problem(toy, 20, toy.fit, None, 0, CPU), Session())
    assert len(asked) == 2, "the likeliest members of the last draw, and at last the agent's and its start's"
    judging = set.union(*asked)
    assert judging <= set(toy.validation.tolist()) and judging and rewarding
    assert not judging & rewarding and not (judging | rewarding) & set(chosen.tolist())
