"""The test readings of a comparison, and the places of its scores among them."""

from ddcore.comparison.readings import readings_of, with_places

SCORE = {"mean": 0.8, "std": 0.0, "n": 1, "values": [0.8]}


def record(mean=0.8, **cell):
    scores = {"hard": {"convnet": {**SCORE, "mean": mean}, "mlp": SCORE}, "soft": {"convnet": SCORE}}
    own = {
        "title": "dsa",
        "members": 500,
        "options": {"steps": 3},
        "set": "a" * 64,
        "own_steps": None,
        "scores": scores,
    }
    whole = {"title": "whole", "members": 60000, "score": {**SCORE, "mean": 0.93}, "environment": {"commit": "w"}}
    protocol = {"dataset": "mnist", "net": "convnet", "profile": "cpu", "seeds": [1000, 1001]}
    return {"protocol": protocol, "cells": [{**own, **cell}], "whole": whole}


def test_each_network_and_kind_of_labels_is_a_reading_with_its_commit():
    where = {"commit": "c" * 40, "started": "2026-11-21T04:00:00Z"}
    readings = readings_of(record(environment=where), "figure")
    assert [(each["subject"], each["net"], each["score"]) for each in readings] == [
        ("500 members by dsa, hard labels", "convnet", 0.8),
        ("500 members by dsa, hard labels", "mlp", 0.8),
        ("500 members by dsa, soft labels", "convnet", 0.8),
        ("60,000 members by whole, hard labels", "convnet", 0.93),
    ]
    assert {each["commit"] for each in readings} == {"c" * 40, "w"}
    assert readings[0]["date"] == "2026-11-21T04:00:00Z" and readings[0]["set"] == "a" * 64
    own = {"net": "convnet", "labels": "soft", **SCORE}
    assert readings_of(record(own_steps=own), "figure")[3]["subject"] == "500 members by dsa, soft labels, own steps"
    assert readings_of(record(own_steps={"net": "convnet", "labels": "soft"}), "figure")[3]["method"] == "whole"


def test_each_set_of_a_row_is_a_reading_and_the_row_has_the_numbers_of_all():
    def drawn(digest, mean):
        return record(mean, set=digest * 64, options={"seed": mean})["cells"][0]

    sets = [drawn("a", 0.8), drawn("b", 0.9)]
    whole = {**record(), "cells": [{**sets[0], "draws": sets}]}
    readings = readings_of(whole, "figure")
    hard = [each for each in readings if each["subject"].endswith("hard labels") and each["net"] == "convnet"][:2]
    assert [(each["set"][0], each["score"], each["options"]) for each in hard] == [
        ("a", 0.8, {"seed": 0.8}),
        ("b", 0.9, {"seed": 0.9}),
    ]
    assert len(readings) == 7, "three scores of each set, and the whole training set"
    [row] = with_places(whole, [*readings_of(record(0.7, set="c" * 64), "decision"), *readings])["cells"]
    assert row["reading"]["hard"] == {"number": 3, "of": 3, "decisions": 1, "numbers": [2, 3]}


def test_places_change_with_the_ledger():
    first = readings_of(record(0.7, set="b" * 64), "decision")
    ledger = [*first, *readings_of(record(), "figure")]
    [cell] = with_places(record(), ledger)["cells"]
    assert cell["reading"]["hard"] == {"number": 2, "of": 2, "decisions": 1}
    [cell] = with_places(record(), ledger[len(first) :])["cells"]
    assert cell["reading"]["hard"] == {"number": 1, "of": 1, "decisions": 0}
    assert with_places(record(), [])["cells"][0]["reading"] == {}
