"""Reads ``scores.json`` files and weighs them against a goal."""

import statistics
from pathlib import Path
from typing import Any

from ddcore.errors import DDCoreError
from ddcore.report.records import Change, Loss, Score
from ddcore.runtime import read_json

ROUNDING = 1e-9
CHANGES = ("before", "turned_before", "turned", "others_lose")


def read_scores(path: Path) -> dict[str, Any]:
    """Read one ``scores.json``.

    Raises:
        DDCoreError: it is missing, damaged, or lacks its protocol or its networks.
    """
    found = read_json(path)
    if not isinstance(found, dict) or not isinstance(found.get("protocol"), dict) or not found.get("nets"):
        raise DDCoreError(f"{path} is damaged: it holds no protocol and networks")
    return found


def score_of(path: Path, found: dict[str, Any], net: str) -> Score:
    """Take one network's score.

    Raises:
        DDCoreError: the network was not evaluated there, or a value is missing.
    """
    protocol, nets = found["protocol"], found["nets"]
    if net not in nets:
        raise DDCoreError(f"{path} holds no network '{net}'; it holds {', '.join(nets)}")
    entry, made = nets[net], protocol.get("set") or {}
    try:
        accuracy = entry["accuracy"]
        labels = "hard" if protocol.get("labels") == "hard" else made.get("labels", "hard")
        return Score(
            dataset=protocol["dataset"],
            asked=net,
            net=entry.get("net", net),
            members=int(made.get("members") or made.get("budget") or protocol["train_members"]),
            test_members=int(protocol["test_members"]),
            tested_on=protocol.get("tested_on", "test"),
            method=made.get("method") or made.get("selector") or "whole",
            labels=labels,
            tokens=protocol.get("train_tokens"),
            mean=float(accuracy["mean"]),
            std=float(accuracy["std"]),
            values=[float(value) for value in accuracy["values"]],
            seeds=[int(seed) for seed in protocol.get("seeds", [])],
            seconds=float(entry["seconds"]),
            prefix=protocol.get("prefix"),
            subset=protocol.get("subset"),
            seen=(protocol.get("schedule") or {}).get("seen"),
            folder=Path(str(made.get("path", ""))).name,
            changes={
                name: Change(mean=float(entry[name]["mean"]), std=float(entry[name]["std"]), n=int(entry[name]["n"]))
                for name in CHANGES
                if name in entry
            },
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DDCoreError(f"{path} is damaged: {error!r} is missing or wrong") from error


def loss_against(baseline: Score, score: Score) -> Loss:
    """Return how much accuracy a score loses against the baseline.

    Where every seed of the score was also trained in the baseline, values of equal seeds are subtracted, and mean
    and standard deviation are those of the differences. Else the means are subtracted and the deviation is the
    score's own.
    """
    before, after = _by_seed(baseline), _by_seed(score)
    known = dict(before)
    if after and len(known) == len(before) and all(seed in known for seed, _ in after):
        lost = [known[seed] - value for seed, value in after]
        spread = statistics.stdev(lost) if len(lost) > 1 else 0.0
        return Loss(mean=statistics.fmean(lost), std=spread, n=len(lost), paired=True)
    return Loss(mean=baseline["mean"] - score["mean"], std=score["std"], n=len(score["values"]), paired=False)


def _by_seed(score: Score) -> list[tuple[int, float]]:
    """Return (seed, value) for every value; empty where seeds and values don't fit one another."""
    seeds, values = score["seeds"], score["values"]
    if not seeds or len(values) % len(seeds):
        return []
    return list(zip(seeds * (len(values) // len(seeds)), values, strict=True))


def meets(bar: dict[str, Any], score: Score | None, loss: Loss | None) -> bool | None:
    """Say whether a score reaches a bar of ``job.json``; None where there is nothing to weigh."""
    kind, value = bar.get("kind"), bar.get("value")
    if score is None or value is None:
        return None
    if kind == "at_least":
        return bool(score["mean"] >= value - ROUNDING)
    if kind == "loses_less_than" and loss is not None:
        return bool(loss["mean"] <= value + ROUNDING)
    return None
