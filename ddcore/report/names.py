"""How numbers and names are written in tables and figures."""

from ddcore.data import DATASETS
from ddcore.report.records import Loss, Score


def dataset_name(name: str) -> str:
    """Return a data set's name as people write it."""
    return DATASETS[name].title if name in DATASETS else name


def percent(fraction: float) -> str:
    """Write a fraction as a percentage with two decimals, without the sign."""
    return f"{100 * fraction:.2f}"


def accuracy(score: Score) -> str:
    """Write mean ± standard deviation (number of networks); without a deviation where there is one network."""
    n = len(score["values"])
    return f"{percent(score['mean'])} (1)" if n == 1 else f"{percent(score['mean'])} ± {percent(score['std'])} ({n})"


def points(loss: Loss | None) -> str:
    """Write a change against the baseline in points, with a sign: a loss is negative."""
    if loss is None:
        return ""
    spread = f" ± {percent(loss['std'])}" if loss["n"] > 1 else ""
    return f"{-100 * loss['mean']:+.2f}{spread}".replace("-", "−") + ("" if loss["paired"] else " (unpaired)")


def seconds(value: float | None) -> str:
    """Write wall time in seconds."""
    if value is None:
        return ""
    return f"{value:,.0f}\u00a0s" if value >= 10 else f"{value:.1f}\u00a0s"


def gigabytes(value: int | None) -> str:
    """Write bytes in units of 10^9."""
    return "" if value is None else f"{value / 1e9:.2f}\u00a0GB"


def family(score: Score, whole: int) -> str:
    """Return which line of a figure a score belongs to; `whole` is the size of the whole training set, 0 if unknown."""
    if 0 < whole <= score["members"]:
        return "whole set" if score["labels"] == "hard" else "whole set, soft labels"
    kind = "random" if score["method"] == "random" else "chosen or made"
    return f"{kind}, {score['labels']} labels"
