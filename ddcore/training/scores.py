"""Scores of trained networks: read from ``scores.json``, weighed against a goal, written as text."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict, cast

from ddcore.errors import DDCoreError, require
from ddcore.runtime import Count, Json, JSONObject, read_object, schema_of
from ddcore.training.evaluation import ACCURACY, MEASURES, SCHEDULE_MEASURES

ROUNDING = 1e-9
CONTROLS: dict[str, tuple[JSONObject, str]] = {
    "cover": ({"candidates": 1, "strongest": 1}, "cover of random clauses"),
    "rded": ({"keep": "random"}, "random crops"),
}
"""Methods, the options that let chance alone decide what they make, and what they are called then."""


class Change(TypedDict):
    """How training on a set changed networks that were trained before; fractions over the networks."""

    mean: float
    std: float
    n: int


class Spread(TypedDict):
    """A measure of all networks of a kind, as ``scores.json`` holds it."""

    mean: float
    std: float
    n: NotRequired[Count]
    values: list[float]


class NetScores(TypedDict):
    """The scores of one network in ``scores.json``, see `ddcore.training.evaluation.evaluate`."""

    net: NotRequired[str]
    accuracy: Spread
    balanced_accuracy: NotRequired[Spread]
    log_loss: NotRequired[Spread]
    recall: NotRequired[dict[str, float | None]]
    before: NotRequired[Change]
    turned_before: NotRequired[Change]
    turned: NotRequired[Change]
    others_lose: NotRequired[Change]
    seconds: float
    confusion: NotRequired[list[list[int]]]


class SetNotes(TypedDict, total=False):
    """The set in a protocol; earlier versions wrote fewer fields."""

    path: str | None
    sets: int
    method: str
    selector: str
    options: JSONObject | None
    members: Count
    budget: Count
    labels: str
    temperature: float | None
    kind: str
    factor: Count
    tiles: Count
    sha256: str | None
    sources: Count | None


class RuleNotes(TypedDict):
    """The rule of the steps in a schedule."""

    optimiser: str
    momentum: float


class RecipeNotes(TypedDict, total=False):
    """What a report reads of a recipe."""

    steps: int


class ScheduleNotes(TypedDict):
    """The schedule of a set in a protocol."""

    rule: RuleNotes
    steps: int
    start: str
    net: str
    nets: NotRequired[list[str]]
    weights: NotRequired[str | None]
    poison: NotRequired[list[int] | None]
    seen: NotRequired[int | None]


class EvaluationNotes(TypedDict):
    """The named protocol in a record of scores."""

    name: str
    title: NotRequired[str]
    source: NotRequired[str]
    net: NotRequired[str]
    networks: NotRequired[int]
    sets: NotRequired[int]


class Protocol(TypedDict):
    """How scores were measured."""

    dataset: str
    set: NotRequired[SetNotes | None]
    labels: NotRequired[str]
    recipe: NotRequired[str]
    evaluation: NotRequired[EvaluationNotes]
    recipes: NotRequired[dict[str, RecipeNotes]]
    schedule: NotRequired[ScheduleNotes | None]
    seeds: NotRequired[list[int]]
    profile: NotRequired[str]
    source: NotRequired[str]
    train_members: NotRequired[Count]
    train_tokens: NotRequired[int | None]
    prefix: NotRequired[int | None]
    subset: NotRequired[int | None]
    test_members: Count
    tested_on: NotRequired[str]
    measure: NotRequired[str]


class ScoresFile(TypedDict):
    """The content of ``scores.json``."""

    protocol: Protocol
    nets: dict[str, NetScores]


class Score(TypedDict):
    """Test accuracy of one network trained on one set, or on several sets of equal size, over all seeds.

    `mean`, `std` and `values` are those of `measure`: ``accuracy``, or ``balanced_accuracy`` where the largest test
    class is over twice the smallest. `measures` holds the values named in `MEASURES`, `recall` the share of each
    class's test members that is predicted as such, by class, None without test members; scores of earlier versions
    have none of the three.

    `sources` is the number of training texts that a packed set was cut from, if that is on record. `factor` is there
    for multi-formation: ``factor**2`` members were decoded from each image that the set stores. `tiles` is there for
    mosaics: each member shows ``tiles**2`` small real images.

    `asked` is the requested network name, such as ``default``; `net` is the network's own name. `values` are ordered
    by set, then by seed. `tokens` is the length of the whole set, for texts. `prefix` and `subset` count the members
    taken from a larger set, the first ones or random ones; `folder` is the name of the set's folder, `sha256` the
    digest of its tensors. `changes` holds the values named in `SCHEDULE_MEASURES`. `seen` counts the tested networks
    that were also used to produce the set, None if that is unknown.
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
    sources: NotRequired[int | None]
    factor: NotRequired[int]
    tiles: NotRequired[int]
    mean: float
    std: float
    values: list[float]
    seeds: list[int]
    seconds: float
    prefix: NotRequired[int | None]
    subset: NotRequired[int | None]
    folder: NotRequired[str]
    sha256: NotRequired[str | None]
    changes: NotRequired[dict[str, Change]]
    seen: NotRequired[int | None]
    measure: NotRequired[str]
    measures: NotRequired[dict[str, Change]]
    recall: NotRequired[dict[str, float | None]]


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
    """Return the content of one ``scores.json``: a `ScoresFile`.

    Raises:
        DDCoreError: it is missing, damaged, holds no network, or a field has another type.
    """
    content: JSONObject = read_object(path, schema_of(ScoresFile))
    source = content["protocol"].get("set") or {}
    sized = source.get("members") or source.get("budget") or content["protocol"].get("train_members")
    require(bool(content["nets"]) and bool(sized), f"{path} is damaged: it holds no networks or members", DDCoreError)
    for net, scores in content["nets"].items():
        counts = scores.get("confusion", [])
        square = all(len(row) == len(counts) for row in counts)
        require(square, f"{path} is damaged: 'nets.{net}.confusion' is not square", DDCoreError)
    return content


def score_rows(path: Path) -> tuple[tuple[str, str], ...]:
    """Return network and recipe, and accuracy in percent, of each network in a ``scores.json``, as texts.

    Raises:
        DDCoreError: as `read_scores`.
    """
    content = read_scores(path)
    scores = [score_of(path, content, net) for net in content["nets"]]
    how = f"{content['protocol'].get('recipe', 'own')} recipe"
    return tuple((f"{score['net']}, {how}, {score['labels']} labels", accuracy(score)) for score in scores)


def score_of(path: Path, content: JSONObject, net: str) -> Score:
    """Return the score of one network.

    Args:
        path: of the file, for error messages.
        content: of the file, from `read_scores`.
        net: the requested network name.

    Raises:
        DDCoreError: the file does not hold this network.
    """
    protocol, nets = content["protocol"], content["nets"]
    require(net in nets, f"{path} holds no network '{net}'; it holds {', '.join(nets)}", DDCoreError)
    entry, source = nets[net], protocol.get("set") or {}
    measure = protocol.get("measure", ACCURACY)
    reached = entry[measure if measure in MEASURES and measure in entry else ACCURACY]
    score = Score(
        dataset=protocol["dataset"],
        asked=net,
        net=entry.get("net", net),
        members=source.get("members") or source.get("budget") or protocol.get("train_members", 0),
        test_members=protocol["test_members"],
        tested_on=protocol.get("tested_on", "test"),
        method=label_of(source.get("method") or source.get("selector") or "whole", source.get("options")),
        labels=labels_of(protocol),
        tokens=protocol.get("train_tokens"),
        sources=source.get("sources"),
        mean=reached["mean"],
        std=reached["std"],
        values=reached["values"],
        seeds=protocol.get("seeds", []),
        seconds=entry["seconds"],
        prefix=protocol.get("prefix"),
        subset=protocol.get("subset"),
        seen=(protocol.get("schedule") or {}).get("seen"),
        folder=Path(source.get("path") or "").name,
        sha256=source.get("sha256"),
        changes=_changes(entry, SCHEDULE_MEASURES),
    )
    if source.get("factor", 1) > 1:
        score["factor"] = source["factor"]
    if source.get("tiles", 1) > 1:
        score["tiles"] = source["tiles"]
    if len(measures := _changes(entry, MEASURES)) > 1:  # earlier versions wrote the accuracy alone
        score["measure"], score["measures"], score["recall"] = measure, measures, entry.get("recall", {})
    return score


def labels_of(protocol: Mapping[str, Json]) -> str:
    """Return what kind of labels a score was measured with: ``hard``, ``soft``, or a teacher's for each ``crop``."""
    source = protocol.get("set")
    own = source.get("labels", "hard") if isinstance(source, dict) else "hard"
    return {"hard": "hard", "crops": "crop"}.get(str(protocol.get("labels")), str(own))


def label_of(method: str, options: JSONObject | None) -> str:
    """Return what a method is called with these options: its name, or that of a control in `CONTROLS`."""
    chance, label = CONTROLS.get(method, ({}, method))
    return label if chance.items() <= (options or {}).items() else method


def _changes(entry: JSONObject, names: Sequence[str]) -> dict[str, Change]:
    """Return mean, standard deviation and number of those measures that a network has."""
    return {
        name: Change(mean=entry[name]["mean"], std=entry[name]["std"], n=entry[name].get("n", 1))
        for name in names
        if name in entry
    }


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


def spreads(score: Score) -> tuple[float, float]:
    """Return the spread between networks on one set, and that between sets: sample standard deviations, fractions.

    The former is the root mean square over the sets, the latter is of their means; 0 where there is one value only.
    """
    seeds, values = len(score["seeds"]), score["values"]
    if not seeds or len(values) % seeds or len(values) == seeds:
        return score["std"], 0.0
    sets = [values[k : k + seeds] for k in range(0, len(values), seeds)]
    within = [statistics.variance(each) for each in sets] if seeds > 1 else [0.0]
    return statistics.fmean(within) ** 0.5, statistics.stdev(statistics.fmean(each) for each in sets)


def above(score: Change | Score, other: Change | Score) -> bool:
    """Return whether a score is above another by more than the spreads between networks, and between sets.

    The difference of the means has to exceed the sum of both scores' spreads between networks, and also the sum of
    their spreads between sets, see `spreads`.
    """
    both = [spreads(cast(Score, each)) if "seeds" in each else (each["std"], 0.0) for each in (score, other)]
    return score["mean"] - other["mean"] > max(map(sum, zip(*both, strict=True))) + ROUNDING


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
    if goal.get("kind") == "at_least":
        return bool(score["mean"] >= goal["value"] - ROUNDING)
    return None if loss is None else bool(loss["mean"] <= goal["value"] + ROUNDING)


def percent(fraction: float) -> str:
    """Return a fraction in percent with two decimals, without the sign."""
    return f"{100 * fraction:.2f}"


def accuracy(score: Score) -> str:
    """Return mean ± standard deviation (number of networks) in percent; no deviation for a single network.

    If that is not the accuracy, the text says what it is.
    """
    n, measure = len(score["values"]), score.get("measure", ACCURACY)
    networks, sets = spreads(score)
    spread = "" if n == 1 else f" ± {percent(score['std'])}"
    if networks and sets:
        spread = f" ± {percent(sets)} between sets, ± {percent(networks)} between networks"
    named = "" if measure == ACCURACY else f" {measure.replace('_', ' ')}"
    return f"{percent(score['mean'])}{spread} ({n}){named}"


def points(loss: Loss | None) -> str:
    """Return the change against the baseline in percentage points, with a sign: a loss is negative."""
    if loss is None:
        return ""
    spread = f" ± {percent(loss['std'])}" if loss["n"] > 1 else ""
    return f"{-100 * loss['mean']:+.2f}{spread}".replace("-", "−") + ("" if loss["paired"] else " (unpaired)")
