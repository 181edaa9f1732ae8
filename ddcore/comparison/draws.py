"""Entries that are made several times, each time with another seed, and the row that their sets share."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ddcore.comparison.entries import Entry
from ddcore.draws import seed_of
from ddcore.runtime import JSONObject, file_name
from ddcore.training import MEASURES, spread_of

SEEDS = 2**31


@dataclass(frozen=True)
class Draw:
    """One set of an entry.

    Attributes:
        entry: that is drawn.
        number: counted from 0.
        of: how many sets of the entry are made.
    """

    entry: Entry
    number: int
    of: int

    def seed(self, first: int) -> int:
        """Return the seed of the set: `first`, the comparison's own, for the first set, a keyed one for each other."""
        return seed_of(first, "draw", self.number) % SEEDS if self.number else first

    @property
    def place(self) -> str:
        """The name of its folder."""
        return place_of(self.entry.title, self.number)


def draws_of(entry: Entry, draws: int) -> list[Draw]:
    """Return the sets of an entry: `draws` of them, or one if another seed would give the same set."""
    count = draws if entry.seeded else 1
    return [Draw(entry, number, count) for number in range(count)]


def place_of(title: str, number: int = 0) -> str:
    """Return the name of the folder of a cell: a set of an entry, or the whole training set."""
    return file_name((f"{title}:draw={number}" if number else title).replace(":", "+"))


def row_of(sets: Sequence[JSONObject], seeds: Sequence[int]) -> JSONObject:
    """Return the row that the sets of an entry share, with the cells of the sets in ``draws``.

    Its fields are equal in all sets. Its scores are over all networks of all sets, see `joined`; seconds
    and validation accuracies are means over the sets, the peaks of memory are the largest.

    Args:
        sets: their cells, one or more.
        seeds: of the networks that are trained on each set.
    """
    first, own = sets[0], [each["own_steps"] for each in sets]
    stated = all(each is not None and "mean" in each for each in own)
    return {
        **_shared(sets),
        "options": _shared([each["options"] for each in sets]),
        "seconds": round(statistics.fmean(each["seconds"] for each in sets), 2),
        **{name: _most(each[name] for each in sets) for name in ("peak_memory_bytes", "peak_gpu_memory_bytes")},
        "scores": {
            labels: {net: joined([each["scores"][labels][net] for each in sets], seeds) for net in nets}
            for labels, nets in first["scores"].items()
        },
        "own_steps": {**_shared(own), **joined(own, seeds)} if stated else own[0],
        "validation": _validation([each["validation"] for each in sets]),
        "draws": list(sets),
    }


def sets_of(row: JSONObject) -> list[JSONObject]:
    """Return the cells of the sets of a row; a row of a comparison without draws is its own cell."""
    sets: list[JSONObject] = row.get("draws", [row])
    return sets


def joined(scores: Sequence[JSONObject], seeds: Sequence[int]) -> JSONObject:
    """Return one score of the scores on several sets: all values, by set, then by seed, and the ``seeds``.

    `ddcore.training.spreads` tells the spread between sets from that between networks by them.

    Args:
        scores: of one network, each as a cell keeps it; equally many values each.
        seeds: of the networks.
    """
    seeds = list(seeds[: len(scores[0]["values"])])

    def over(parts: Sequence[JSONObject]) -> JSONObject:
        return {**spread_of([value for part in parts for value in part["values"]]), "seeds": seeds}

    return {
        **over(scores),
        **{name: over([each[name] for each in scores]) for name in MEASURES if name in scores[0]},
        **({"recall": _recall([each["recall"] for each in scores])} if "recall" in scores[0] else {}),
        "seconds": round(statistics.fmean(each["seconds"] for each in scores), 3),
    }


def _shared(objects: Sequence[JSONObject]) -> JSONObject:
    """Return the fields that are equal in all of some objects."""
    first, *others = objects
    return {name: value for name, value in first.items() if all(each.get(name) == value for each in others)}


def _most(values: Iterator[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _recall(recalls: Sequence[JSONObject]) -> JSONObject:
    """Return the mean recall of each class; None for a class without test members."""
    return {
        name: None if value is None else statistics.fmean(each[name] for each in recalls)
        for name, value in recalls[0].items()
    }


def _validation(accuracies: Sequence[JSONObject | None]) -> JSONObject | None:
    known = [each for each in accuracies if each is not None]
    return {name: statistics.fmean(each[name] for each in known) for name in ("start", "best")} if known else None
