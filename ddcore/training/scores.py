"""Scores of trained networks: read from ``scores.json``, weighed against a goal, written as text."""

import statistics
from pathlib import Path
from typing import NotRequired, TypedDict

from ddcore.errors import DDCoreError, require
from ddcore.runtime import JSONObject, read_json
from ddcore.training.evaluation import SCHEDULE_MEASURES

ROUNDING = 1e-9


class Change(TypedDict):
    """How training on a set changed networks that were trained before; fractions over the networks."""

    mean: float
    std: float
    n: int


class Score(TypedDict):
    """Test accuracy of one network trained on one set, or on several sets of equal size, over all seeds.

    `asked` is the requested network name, such as ``default``; `net` is the network's own name. `values` are ordered
    by set, then by seed. `tokens` is the length of the whole set, for texts. `prefix` and `subset` count the members
    taken from a larger set, the first ones or random ones; `folder` is the name of the set's folder. `changes` holds
    the values named in `SCHEDULE_MEASURES`. `seen` counts the tested networks that were also used to produce
    the set, None if that is unknown.
    """

    dataset: str
    asked: str
    net: str
    members: int
    test_members: int
    tested_on: str
    method: str
    labels: str
    tokens: int | None
    mean: float
    std: float
    values: list[float]
    seeds: list[int]
    seconds: float
    prefix: NotRequired[int | None]
    subset: NotRequired[int | None]
    folder: NotRequired[str]
    changes: NotRequired[dict[str, Change]]
    seen: NotRequired[int | None]


class Loss(Change):
    """Accuracy lost against a baseline, a fraction; negative if nothing is lost.

    `paired` is true if each value was subtracted from the baseline's value of the same seed.
    """

    paired: bool


class Goal(TypedDict, total=False):
    """The goal of a result, as ``job.json`` holds it; empty without one.

    `kind` is ``at_least`` or ``loses_less_than``, `value` a fraction. `baseline` is the path of the ``scores.json``
    that a loss is measured against and `net` the network in it, by default ``default``.
    """

    kind: str
    value: float
    baseline: str
    net: str


def read_scores(path: Path) -> JSONObject:
    """Return the content of one ``scores.json``.

    Raises:
        DDCoreError: it is missing, damaged, or lacks its protocol or its networks.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("protocol"), dict) or not content.get("nets"):
        raise DDCoreError(f"{path} is damaged: it holds no protocol and networks")
    return content


def score_of(path: Path, content: JSONObject, net: str) -> Score:
    """Return the score of one network.

    Args:
        path: of the file, for error messages.
        content: of the file, from `read_scores`.
        net: the requested network name.

    Raises:
        DDCoreError: the file does not hold this network, or a value is missing.
    """
    protocol, nets = content["protocol"], content["nets"]
    require(net in nets, f"{path} holds no network '{net}'; it holds {', '.join(nets)}", DDCoreError)
    entry, source = nets[net], protocol.get("set") or {}
    try:
        accuracy = entry["accuracy"]
        return Score(
            dataset=protocol["dataset"],
            asked=net,
            net=entry.get("net", net),
            members=int(source.get("members") or source.get("budget") or protocol["train_members"]),
            test_members=int(protocol["test_members"]),
            tested_on=protocol.get("tested_on", "test"),
            method=source.get("method") or source.get("selector") or "whole",
            labels="hard" if protocol.get("labels") == "hard" else source.get("labels", "hard"),
            tokens=protocol.get("train_tokens"),
            mean=float(accuracy["mean"]),
            std=float(accuracy["std"]),
            values=[float(value) for value in accuracy["values"]],
            seeds=[int(seed) for seed in protocol.get("seeds", [])],
            seconds=float(entry["seconds"]),
            prefix=protocol.get("prefix"),
            subset=protocol.get("subset"),
            seen=(protocol.get("schedule") or {}).get("seen"),
            folder=Path(str(source.get("path", ""))).name,
            changes={
                name: Change(mean=float(entry[name]["mean"]), std=float(entry[name]["std"]), n=int(entry[name]["n"]))
                for name in SCHEDULE_MEASURES
                if name in entry
            },
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DDCoreError(f"{path} is damaged: {error!r} is missing or wrong") from error


def loss_against(baseline: Score, score: Score) -> Loss:
    """Return how much accuracy a score loses against the baseline.

    If the baseline has a value for every seed of the score, values of equal seeds are subtracted; mean and standard
    deviation are those of the differences. Otherwise the means are subtracted and the deviation is the score's own.
    """
    before, after = _by_seed(baseline), _by_seed(score)
    known = dict(before)
    if after and len(known) == len(before) and all(seed in known for seed, _ in after):
        lost = [known[seed] - value for seed, value in after]
        return Loss(
            mean=statistics.fmean(lost),
            std=statistics.stdev(lost) if len(lost) > 1 else 0.0,
            n=len(lost),
            paired=True,
        )
    return Loss(mean=baseline["mean"] - score["mean"], std=score["std"], n=len(score["values"]), paired=False)


def _by_seed(score: Score) -> list[tuple[int, float]]:
    """Return (seed, value) for every value; empty if the number of values is no multiple of the number of seeds."""
    seeds, values = score["seeds"], score["values"]
    if not seeds or len(values) % len(seeds):
        return []
    return list(zip(seeds * (len(values) // len(seeds)), values, strict=True))


def meets(goal: Goal, score: Score | None, loss: Loss | None) -> bool | None:
    """Return whether a score reaches a goal; None without a goal or a score."""
    if score is None or "value" not in goal:
        return None
    if goal["kind"] == "at_least":
        return bool(score["mean"] >= goal["value"] - ROUNDING)
    return None if loss is None else bool(loss["mean"] <= goal["value"] + ROUNDING)


def percent(fraction: float) -> str:
    """Return a fraction in percent with two decimals, without the sign."""
    return f"{100 * fraction:.2f}"


def accuracy(score: Score) -> str:
    """Return mean ± standard deviation (number of networks) in percent; no deviation for a single network."""
    n = len(score["values"])
    return f"{percent(score['mean'])} (1)" if n == 1 else f"{percent(score['mean'])} ± {percent(score['std'])} ({n})"


def points(loss: Loss | None) -> str:
    """Return the change against the baseline in percentage points, with a sign: a loss is negative."""
    if loss is None:
        return ""
    spread = f" ± {percent(loss['std'])}" if loss["n"] > 1 else ""
    return f"{-100 * loss['mean']:+.2f}{spread}".replace("-", "−") + ("" if loss["paired"] else " (unpaired)")
