"""The test readings of a comparison, and the place of each of its scores in a ledger of them."""

from collections.abc import Iterator, Sequence

from ddcore.comparison.draws import sets_of
from ddcore.comparison.terms import WHOLE
from ddcore.runtime import JSONObject
from ddcore.training import Place, Reading, place_among


def readings_of(record: JSONObject, why: str) -> list[Reading]:
    """Return a reading for every network, kind of labels and set of a comparison, as ``comparison.json`` has them."""
    protocol, whole = record["protocol"], record["whole"]
    how = f"comparison, profile {protocol['profile']}, seeds {', '.join(map(str, protocol['seeds']))}"
    scores = [(cell, *each) for row in record["cells"] for cell in sets_of(row) for each in _scores(cell)]
    if whole is not None and whole["score"] is not None:
        scores.append(({"options": None, **whole}, "hard labels", protocol["net"], whole["score"]))
    return [
        Reading(
            date=str(cell.get("environment", {}).get("started", "")),
            commit=cell.get("environment", {}).get("commit"),
            dataset=protocol["dataset"],
            subject=_subject(cell, labels),
            set=cell.get("set"),
            method=cell["title"],
            options=cell["options"],
            net=net,
            protocol=how,
            score=score["mean"],
            why=why,
        )
        for cell, labels, net, score in scores
    ]


def with_places(record: JSONObject, readings: Sequence[Reading]) -> JSONObject:
    """Return a comparison whose cells have ``reading``: the place of their scores in a ledger, by kind of labels.

    A row of several sets has the place of the last one, and the ``numbers`` of all.
    """
    dataset, net = record["protocol"]["dataset"], record["protocol"]["net"]

    def reading(row: JSONObject) -> JSONObject:
        places: dict[str, list[Place]] = {}
        for cell in sets_of(row):
            for labels, other, score in _scores(cell):
                if other == net and labels.endswith("labels") and score["mean"] is not None:
                    kind = (dataset, _subject(cell, labels), net)
                    place = place_among(readings, kind, cell.get("set"), score["mean"])
                    places.setdefault(labels.split()[0], []).extend([place] if place else [])
        return {
            labels: {**each[-1], **({"numbers": sorted({place["number"] for place in each})} if "draws" in row else {})}
            for labels, each in places.items()
            if each
        }

    return {**record, "cells": [{**row, "reading": reading(row)} for row in record["cells"]]}


def _scores(cell: JSONObject) -> Iterator[tuple[str, str, JSONObject]]:
    """Yield what each score of a cell was trained with, its network and the score."""
    for labels, nets in cell["scores"].items():
        for net, score in nets.items():
            yield f"{labels} labels", net, score
    if (own := cell["own_steps"]) and "mean" in own:
        yield f"{own['labels']} labels, own steps", own["net"], own


def _subject(cell: JSONObject, labels: str) -> str:
    title = "whole" if cell["title"] == WHOLE else cell["title"]
    return f"{cell['members']:,} members by {title}, {labels}"
