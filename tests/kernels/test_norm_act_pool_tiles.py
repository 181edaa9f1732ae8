"""The kernels for planes that are read in tiles; tiny tiles stand for large planes."""

import pytest
import torch

from ddcore.kernels import (
    norm_act_pool_backward,
    norm_act_pool_forward,
    norm_act_pool_tangent,
    norm_act_pool_tangent_backward,
)
from ddcore.kernels import norm_act_pool_triton as fast

# Planes of whole and of odd rows; with tiles of 4 rows they take 4, 3, 4 and 2, the last of which are not full.
SIZES = [(8, 8), (7, 5), (6, 9), (5, 5)]


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def case(size, shift=1.0, n=2, channels=3):
    """Return x, its tangent, gain, offset and theirs, in float64."""
    channel = [draw(channels, seed=k) for k in range(2, 6)]
    return draw(n, channels, *size) * 3 + shift, draw(n, channels, *size, seed=1) + 0.5, *channel


def results(given, pool, up, up_t):
    """Return all that the four operations compute."""
    x, x_t, gain, gain_t, offset, offset_t = given
    y, saved = norm_act_pool_forward(x, gain, offset, pool=pool)
    first = norm_act_pool_backward(up, saved, gain, offset)
    both, saved_t = norm_act_pool_tangent(x, x_t, gain, gain_t, offset, offset_t, pool=pool)
    second = norm_act_pool_tangent_backward(up, up_t, saved_t, gain, gain_t, offset)
    return {
        "y": y,
        "stats": saved.stats,
        "x_c": first[0],
        "sums": first[1],
        "both": both,
        "stats_t": saved_t.stats,
        "down": second[0],
        "sums_t": second[1],
    }


@pytest.fixture
def tiled(kernels_run, monkeypatch):
    """Read planes in tiles of four rows."""
    monkeypatch.setattr(fast, "TILE", 4)
    monkeypatch.setattr(fast, "TILE_WARPS", 1)
    return kernels_run


@pytest.mark.parametrize("pool", [True, False], ids=["pooled", "whole"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_tiles_give_what_the_definition_says(tiled, poisoned, off, size, pool):
    given = case(size)
    shape = (2, 3, size[0] // 2, size[1] // 2) if pool else (2, 3, *size)
    up, up_t = draw(*shape, seed=6), draw(*shape, seed=7)
    right = results(given, pool, up, up_t)
    single = [each.to(tiled, torch.float32) for each in (*given, up, up_t)]
    assert "ROWS" in fast.sizes("forward", single[0], pool)[1]
    ours = results(single[:6], pool, *single[6:])
    for name, each in right.items():
        assert off(ours[name], each) <= 2e-6, name


def test_a_mean_far_from_zero_cancels_nothing(tiled, off):
    given = case((8, 8), shift=300.0)
    single = [each.to(tiled, torch.float32) for each in given]
    x, _, gain, _, offset, _ = single
    exact = x.double().cpu()
    y, saved = norm_act_pool_forward(x, gain, offset)
    deviation = 1 / (exact.var((2, 3), correction=0) + 1e-5).sqrt()
    assert off(saved.stats[1], deviation) <= 2e-6 and bool(y.isfinite().all())


def test_the_order_of_programs_does_not_matter(tiled, poisoned, backwards):
    single = [each.to(tiled, torch.float32) for each in case((7, 5))]
    up = torch.ones(2, 3, 3, 2, device=tiled)
    found = []
    for turn in (lambda: None, backwards):
        turn()
        found.append(results(single, True, up, -up))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
