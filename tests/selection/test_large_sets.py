"""Selectors on sets that cannot be read as a whole."""

from dataclasses import replace

import pytest
import torch
from guarded import Guarded, guarded_task, guarded_teacher
from toys import saved_networks, short_selector

from ddcore.options import changed
from ddcore.problem import Problem
from ddcore.runtime.session import Session
from ddcore.selection import features, mutual_information
from ddcore.selection.registry import SELECTORS
from ddcore.selection.selected import selected_set
from ddcore.training import loop, teacher

MOST = 130
"""Rows that can be had at a time: a batch of a training has 128."""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(loop, "BATCH", 50)
    monkeypatch.setattr(teacher, "CHUNK", 50)
    monkeypatch.setattr(mutual_information, "BLOCK", 6 * 50)
    monkeypatch.setattr(features.Features.of, "__defaults__", (6 * 100,))


@pytest.mark.parametrize("name", [name for name, cls in SELECTORS.items() if "images" in cls.kinds])
def test_every_selector_reads_the_set_in_parts(name, tmp_path):
    task = guarded_task(MOST)
    selector = changed(short_selector(name), {"labels": "soft"})
    if name == "rl-agent":  # its candidates are so many times the budget, however large the set is
        selector = changed(selector, {"candidates": 3})
    teacher = replace(guarded_teacher(task, MOST), net="mlp", folder=saved_networks(task, tmp_path, "mlp"))
    problem = Problem(task, 20, selector.pool_of(task), teacher, 3)
    chosen = selected_set(selector, problem, Session(progress=lambda *_: None))
    assert chosen.y.bincount().tolist() == [10, 10] and len({row.numpy().tobytes() for row in chosen.x}) == 20
    assert (chosen.indices is None) == (name == "rded")


def test_a_margin_of_a_teacher_is_taken_in_parts():
    task = guarded_task(MOST)
    problem = Problem(task, 20, torch.arange(600), guarded_teacher(task, MOST))
    assert len(changed(SELECTORS["margin"](), {"folds": 0}).select(problem, Session())) == 20


def test_the_guard_lets_parts_through_and_nothing_else():
    x = Guarded.of(torch.arange(12.0).view(6, 2), 3)
    assert x[torch.tensor([5, 0])].tolist() == [[10, 11], [0, 1]] and type(x[1:3]) is torch.Tensor
    assert len(x) == 6 and x.shape == (6, 2) and x.to("cpu") is x and x[4].tolist() == [8, 9]
    for read in (
        x.float,
        x.sum,
        x.clone,
        lambda: x + 1,
        lambda: x.T,
        lambda: x[:],
        lambda: x[torch.arange(4)],
        lambda: torch.cat([x]),
    ):
        with pytest.raises(AssertionError):
            read()
