import pytest
import torch

from ddcore.errors import UsageError
from ddcore.problem import Problem
from ddcore.runtime.session import Session
from ddcore.selection.herding import Herding
from ddcore.selection.start import starting_members, starting_selector


def test_any_selector_by_name_and_an_agent_starts_from_another_one():
    assert starting_selector("herding", "--init") == Herding()
    assert starting_selector("rl-agent", "--init") is not None
    for name in ("rl-agent", "none"):
        with pytest.raises(UsageError, match=f"unknown selector of --start '{name}'; known: ccs"):
            starting_selector(name, "--start")


def test_a_start_asks_for_its_teacher_and_for_data_that_it_reads(toy, review_task):
    with pytest.raises(UsageError, match="--init herding needs --teacher"):
        starting_members("herding", Problem(toy, 20, toy.fit), Session())
    with pytest.raises(UsageError, match="--init grand does not read text: --init random does"):
        starting_members("grand", Problem(review_task, 20, review_task.fit), Session())
    assert len(starting_members("herding", Problem(review_task, 20, review_task.fit), Session())) == 20


def test_classes_share_a_start_as_the_problem_says(toy):
    pool = toy.fit[(toy.train.y[toy.fit] == 0) | (torch.arange(len(toy.fit)) < 20)]
    few = int((toy.train.y[pool] == 1).sum())
    problem = Problem(toy, 20, pool, proportions="data")
    members = starting_members("random", problem, Session())
    assert torch.bincount(toy.train.y[members]).tolist() == problem.counts and problem.counts[1] <= few < 20
