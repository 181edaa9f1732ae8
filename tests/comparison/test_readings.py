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


def test_places_change_with_the_ledger():
    first = readings_of(record(0.7, set="b" * 64), "decision")
    ledger = [*first, *readings_of(record(), "figure")]
    [cell] = with_places(record(), ledger)["cells"]
    assert cell["reading"]["hard"] == {"number": 2, "of": 2, "decisions": 1}
    [cell] = with_places(record(), ledger[len(first) :])["cells"]
    assert cell["reading"]["hard"] == {"number": 1, "of": 1, "decisions": 0}
    assert with_places(record(), [])["cells"][0]["reading"] == {}
