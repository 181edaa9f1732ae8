"""Names and numbers as text for tables and figures."""

from typing import cast

from ddcore.data import DATASETS
from ddcore.nets import NETS
from ddcore.runtime import JSONObject
from ddcore.training import Change, Score, percent, spreads


def network_name(net: str) -> str:
    """Return a network's name with the width that it is built with, if it is built for one."""
    width = NETS[net].options.get("width") if net in NETS else None
    return f"{net} (width {width})" if width else net


def dataset_name(name: str) -> str:
    """Return a data set's name for a reader."""
    return DATASETS[name].title if name in DATASETS else name


def spread(values: Change | JSONObject | None) -> str:
    """Return mean ± standard deviation in percent, the mean alone of a single value; empty without values.

    Of a row that was drawn several times: mean ± spread between sets, and in brackets the spread between networks.
    """
    if values is None:
        return ""
    if "seeds" in values:
        score = cast(Score, values)
        (networks, sets), many = spreads(score), len(score["seeds"])
        between = f" ± {percent(sets)}" if len(score["values"]) > many else ""
        return percent(score["mean"]) + between + (f" ({percent(networks)})" if many > 1 else "")
    return f"{percent(values['mean'])} ± {percent(values['std'])}" if values["n"] > 1 else percent(values["mean"])


def seconds(value: float | None) -> str:
    """Return wall time in seconds; empty without a value."""
    return "" if value is None else f"{value:,.{0 if value >= 10 else 1}f}\u00a0s"


def gigabytes(value: int | None) -> str:
    """Return bytes in units of 10^9; empty without a value."""
    return "" if value is None else f"{value / 1e9:.2f}\u00a0GB"


def machine(where: JSONObject) -> str:
    """Return the machine of an ``environment.json`` in words: processor or GPU, processes, versions."""
    device, cores, cpu = str(where.get("device", "cpu")), where.get("cores"), str(where.get("cpu", "an unknown CPU"))
    host = f"{cores} cores of {cpu}" if cores and where.get("cpu") else cpu
    place = f"{host}, no GPU" if device == "cpu" else f"{device}, with {host}"
    processes = f"{where.get('processes', 1)} processes" if where.get("processes", 1) != 1 else ""
    versions = [f"{title} {where[title.lower()]}" for title in ("Python", "torch") if where.get(title.lower())]
    return ", ".join(filter(None, [place, processes, *versions]))


def family(score: Score, whole: int) -> str:
    """Return the name of the line of a figure that a score belongs to.

    Args:
        score: to draw.
        whole: size of the whole training set, 0 if unknown.
    """
    if score["method"].startswith("whole") or 0 < whole <= score["members"]:
        return "whole set" if score["labels"] == "hard" else "whole set, soft labels"
    if "factor" in score:
        return "multi-formation"
    kind = "random" if score["method"] == "random" else "selected or synthetic"
    return f"{kind}, labels by crop" if score["labels"] == "crop" else f"{kind}, {score['labels']} labels"
