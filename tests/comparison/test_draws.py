"""Sets of one entry: their seeds, their folders, and the row that they share."""

import pytest

from ddcore.comparison.draws import draws_of, joined, place_of, row_of, sets_of
from ddcore.comparison.entries import one_entry
from ddcore.training import spreads


def score(*values: float, **more) -> dict:
    mean = sum(values) / len(values)
    return {"mean": mean, "std": 0.5, "n": len(values), "values": list(values), "seconds": 2.0, **more}


def cell(draw: int, hard: dict, **more) -> dict:
    return {
        "title": "k-means",
        "draw": draw,
        "options": {"rounds": 20, "seed": draw},
        "seconds": 1.0 + draw,
        "peak_memory_bytes": 10 + draw,
        "peak_gpu_memory_bytes": None,
        "scores": {"hard": {"mlp": hard}},
        "own_steps": None,
        "validation": None,
        "set": f"digest {draw}",
    } | more


def test_the_first_set_has_the_seed_of_the_comparison_and_each_other_one_of_its_own():
    draws = draws_of(one_entry("k-means", {}), 5)
    seeds = [draw.seed(3) for draw in draws]
    assert seeds[0] == 3 and len(set(seeds)) == 5 and all(0 <= seed < 2**31 for seed in seeds)
    assert seeds == [draw.seed(3) for draw in draws] and not set(seeds[1:]) & {draw.seed(4) for draw in draws}
    assert [draw.place for draw in draws[:2]] == ["k-means", "k-means+draw=1"] and draws[0].of == 5
    assert place_of("dm:moments=2") == "dm+moments=2"


@pytest.mark.parametrize(
    ("name", "count"), [("random", 3), ("dm", 3), ("herding", 1), ("margin", 3), ("margin:folds=0", 1)]
)
def test_an_entry_that_draws_nothing_is_made_once(name, count):
    assert len(draws_of(one_entry(name, {}), 3)) == count


def test_scores_of_sets_keep_both_spreads():
    measure = {"log_loss": {"mean": 0.4, "std": 0.0, "n": 2, "values": [0.3, 0.5]}, "recall": {"a": 0.5, "b": None}}
    other = {"log_loss": {"mean": 0.8, "std": 0.0, "n": 2, "values": [0.7, 0.9]}, "recall": {"a": 0.7, "b": None}}
    both = joined([score(0.80, 0.82, **measure), score(0.84, 0.86, **other)], [1000, 1001])
    assert both["mean"] == pytest.approx(0.83) and both["values"] == [0.80, 0.82, 0.84, 0.86] and both["n"] == 4
    networks, sets = spreads(both)
    assert networks == pytest.approx(0.02 / 2**0.5) and sets == pytest.approx(0.04 / 2**0.5)
    assert both["log_loss"]["mean"] == pytest.approx(0.6) and both["log_loss"]["seeds"] == [1000, 1001]
    assert both["recall"] == {"a": pytest.approx(0.6), "b": None}
    assert joined([score(0.8)], [1000, 1001])["seeds"] == [1000], "own steps from known weights: one network"


def test_a_row_has_what_its_sets_have_in_common_and_all_their_cells():
    sets = [cell(0, score(0.8)), cell(1, score(0.9), validation={"start": 0.5, "best": 0.75})]
    row = row_of(sets, [1000])
    assert row["title"] == "k-means" and row["options"] == {"rounds": 20} and not {"draw", "set"} & set(row)
    assert row["seconds"] == 1.5 and row["peak_memory_bytes"] == 11 and row["peak_gpu_memory_bytes"] is None
    assert row["scores"]["hard"]["mlp"]["mean"] == pytest.approx(0.85) and row["own_steps"] is None
    assert row["validation"] == {"start": 0.5, "best": 0.75} and row["draws"] == sets_of(row) == sets
    assert sets_of(sets[0]) == [sets[0]], "a comparison of earlier versions"


def test_the_row_of_one_set_keeps_its_digest_and_has_no_spread_between_sets():
    row = row_of([cell(0, score(0.7, 0.8))], [1000, 1001])
    assert row["set"] == "digest 0" and row["options"]["seed"] == 0
    assert spreads(row["scores"]["hard"]["mlp"])[1] == 0


def test_scores_by_own_steps_are_joined_unless_they_could_not_be_measured():
    own = {"net": "mlp", "labels": "soft", "steps": 3, "start": "random"}
    rows = [row_of([cell(k, score(0.8), own_steps={**own, **more}) for k in (0, 1)], [7]) for more in ({}, score(0.6))]
    assert rows[0]["own_steps"] == own
    assert rows[1]["own_steps"] == {**own, **joined([score(0.6)] * 2, [7])}
