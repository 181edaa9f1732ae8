"""Selectors on sets that cannot be read as a whole."""

import pytest
import torch
from guarded import Guarded, guarded_task, guarded_teacher
from toys import short_selector

from ddcore.draws import generator
from ddcore.options import changed
from ddcore.problem import Problem
from ddcore.runtime.session import Session
from ddcore.selection import features, mutual_information
from ddcore.selection.features import Blocks
from ddcore.selection.herding import herd
from ddcore.selection.information import principal
from ddcore.selection.k_center import spread_out
from ddcore.selection.k_means import cluster, nearest_rows
from ddcore.selection.mutual_information import informative
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
def test_every_selector_reads_the_set_in_parts(name):
    task = guarded_task(MOST)
    selector = changed(short_selector(name), {"labels": "soft"})
    if name == "rl-agent":  # its candidates are so many times the budget, however large the set is
        selector = changed(selector, {"candidates": 3})
    problem = Problem(task, 20, selector.pool_of(task), guarded_teacher(task, MOST), 3)
    chosen = selected_set(selector, problem, Session(progress=lambda *_: None))
    assert chosen.y.bincount().tolist() == [10, 10] and len(chosen.indices.unique()) == 20


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


# Whole numbers, whose sums are exact in any order.
ROWS = torch.randint(-4, 5, (90, 4), generator=torch.Generator().manual_seed(0)).float()


@pytest.mark.parametrize("size", [7, 30, 89])
def test_blocks_give_what_one_block_gives(size):
    x, whole = Blocks(90, size, lambda rows: ROWS[rows].clone()), Blocks.of(ROWS)
    assert len(x) == len(whole) == 90 and next(len(rows) for _, rows in x) == size
    assert torch.equal(x.mean(), whole.mean()) and torch.equal(x[torch.tensor(80)], ROWS[80])
    centres = cluster(whole, 6, 0, generator(1))
    assert torch.equal(cluster(x, 6, 0, generator(1)), centres)
    torch.testing.assert_close(cluster(x, 6, 5, generator(1)), cluster(whole, 6, 5, generator(1)))
    assert torch.equal(nearest_rows(x, centres), nearest_rows(whole, centres))
    information = torch.arange(90.0, dtype=torch.float64)
    assert torch.equal(informative(information, x, 9, 1.0), informative(information, whole, 9, 1.0))
    assert torch.equal(spread_out(x, 1), spread_out(whole, 1)) and len(herd(x, 9).unique()) == 9
    torch.testing.assert_close(principal(x, 2).abs(), principal(whole, 2).abs(), rtol=1e-3, atol=1e-3)
    assert torch.equal(x.changed(lambda rows: rows + 1)[3], ROWS[3] + 1)
