"""The tables of a report; cells are texts, the same for HTML, Markdown and the README."""

import re
from dataclasses import dataclass, field

from ddcore.report.names import dataset_name, gigabytes, seconds, spread
from ddcore.report.protocol import SHORT
from ddcore.report.records import Records, ResultRow, grouped, rows_of
from ddcore.training import Score, accuracy, percent, points


@dataclass(frozen=True)
class Table:
    """Rows of texts.

    Attributes:
        headers: one per column.
        rows: as many cells as headers.
        strong: indices of the rows that are results; the other rows are compared with them.
        numbers: columns that are aligned to the right.
    """

    headers: tuple[str, ...]
    rows: list[tuple[str, ...]]
    strong: list[int] = field(default_factory=list)
    numbers: tuple[int, ...] = ()


STATES = {"pending": "not run", "skipped": "not run"}
PREPARES = re.compile(r"scripts/train_(baseline|experts|generator)\.py")
CHANGES = ("before", "turned_before", "turned", "others_lose")
NOT_ABOVE = ", not above random"
RECALLS_SHOWN = 10
MET = {True: "yes", False: "no", None: ""}


def results_table(records: Records) -> Table:
    """Return every result with its goal, and below it the rows it is compared with."""
    headers: tuple[str, ...] = (
        *("result", "goal", "met", "reached, %", "against baseline", "training", "stages", "peak memory"),
    )
    if shared := any(prepared(records, row) for _, row in rows_of(records)):
        headers += ("of them: teacher, experts, generator",)
    if read := any("reading" in row for _, row in rows_of(records)):
        headers += ("reading",)
    rows: list[tuple[str, ...]] = []
    strong = []
    for result in records["results"]:
        strong.append(len(rows))
        if result["rows"][0]["label"]:
            rows.append((result["name"], *[""] * (len(headers) - 1)))
        for row in result["rows"]:
            goal = f"{row['goal']} (aim: {row['aim']})" if row["aim"] else row["goal"]
            label = f"– {row['label']}" if row["label"] else result["name"]
            label += packed(row["score"]) + formed(row["score"])
            rows.append((label, goal, MET[row["met"]], *_measured(row)))
            rows[-1] += (seconds(prepared(records, row) or None),) * shared + (reading(row),) * read
    return Table(headers, rows, strong, numbers=tuple(range(3, 8 + shared)))


def headlines_table(records: Records) -> Table:
    """Return the results that have a goal, each beside random members of as many, with the same labels and network."""
    rows: list[tuple[str, ...]] = []
    for result in records["results"]:
        first = result["rows"][0]
        if not first["goal"]:
            continue
        alike = [row["score"] for row in result["rows"] if row["score"] and _as_random(row["score"], first["score"])]
        reached, loss, spent = _measured(first)[:3]
        rows.append((result["name"], first["goal"], reached, loss, accuracy(alike[0]) if alike else "", spent))
    headers = ("result", "goal", "reached, %", "against baseline", "random members, same labels, %", "training")
    return Table(headers, rows, numbers=(2, 3, 4, 5))


def _as_random(score: Score, other: Score | None) -> bool:
    """Return whether a score is that of random members, in what else decides it like another."""
    same = ("labels", "net", "members", "tested_on")
    return other is not None and score["method"] == "random" and all(score[name] == other[name] for name in same)  # type: ignore[literal-required]


def packed(score: Score | None) -> str:
    """Return of a packed set, if its first one is on record, the tokens and the training texts they were cut from."""
    if score is None or not (sources := score.get("sources")):
        return ""
    return f" ({score['tokens'] or 0:,} tokens cut from {sources:,} training texts)"


def formed(score: Score | None) -> str:
    """Return how many images a stored one became, or how many small ones a mosaic shows; empty for other sets."""
    factor, tiles = (score.get("factor", 1), score.get("tiles", 1)) if score is not None else (1, 1)
    shown = f" ({tiles**2} small images in each)" if tiles > 1 else ""
    return f" (class V: {factor**2} images decoded from each stored one)" if factor > 1 else shown


def prepared(records: Records, row: ResultRow) -> float:
    """Return the seconds of the stages before a row that trained a teacher, experts or a generator."""
    before = row["commands"][:-1]
    stages = [stage for stage in records["stages"] if stage["command"] in before]
    return sum(stage["seconds"] or 0.0 for stage in stages if PREPARES.search(stage["command"]))


def reading(row: ResultRow) -> str:
    """Return a row's place among the test readings of its kind, as in “2 of 3”."""
    place = row.get("reading")
    return f"{place['number']} of {place['of']}" if place else "not on record" if row["score"] else ""


def _measured(row: ResultRow) -> tuple[str, ...]:
    score, cost = row["score"], (seconds(row["seconds"]), gigabytes(row["peak_memory_bytes"]))
    if score is None:
        return row["fault"], "", "", *cost
    reached = accuracy(score) + ("" if score["tested_on"] == "test" else f" on {score['tested_on']}")
    reached += NOT_ABOVE if row.get("above_random") is False else ""
    return reached, points(row["loss"]), seconds(score["seconds"]), *cost


def changes_table(records: Records) -> Table | None:
    """Return how sets changed networks that were trained before; None without such networks."""
    headers = ("result", "networks", "before, %", "after, %", "turned before, %", "turned, %", "others lose, points")
    rows: list[tuple[str, ...]] = []
    for result, row in rows_of(records):
        score = row["score"]
        if score and (changes := score.get("changes")):
            before, *values = (spread(changes.get(name)) for name in CHANGES)
            seen = {None: "", 0: ", none seen"}.get(score.get("seen"), f", {score.get('seen')} seen")
            named = (row["label"] or result["name"], f"{len(score['values'])}{seen}")
            rows.append((*named, before, accuracy(score), *values))
    return Table(headers, rows, numbers=(1, 2, 3, 4, 5, 6)) if rows else None


def measures_table(records: Records) -> Table | None:
    """Return what else was measured of each score; None for records of versions that measured the accuracy alone."""
    headers = ("result", "accuracy, %", "balanced accuracy, %", "log-loss, nats", "recall by class, %")
    rows: list[tuple[str, ...]] = []
    for result, row in rows_of(records):
        score = row["score"]
        if score and (measures := score.get("measures")):
            loss = measures.get("log_loss")
            name = " – ".join(filter(None, (result["name"], row["label"])))
            nats = "" if loss is None else f"{loss['mean']:.4f}" + (f" ± {loss['std']:.4f}" if loss["n"] > 1 else "")
            accuracies = (spread(measures.get(measure)) for measure in ("accuracy", "balanced_accuracy"))
            rows.append((name, *accuracies, nats, recalls(score.get("recall", {}))))
    return Table(headers, rows, numbers=(1, 2, 3)) if rows else None


def recalls(by_class: dict[str, float | None], most: int = RECALLS_SHOWN) -> str:
    """Return the recall of each class in percent, the lowest first; of more classes than `most` the lowest alone."""
    tested = sorted((recall, name) for name, recall in by_class.items() if recall is not None)
    text = ", ".join(f"{name} {100 * recall:.1f}" for recall, name in tested[:most])
    return text + (f" and {len(tested) - most:,} more" if len(tested) > most > 1 else "")


def summary(records: Records) -> list[str]:
    """Return a few sentences that summarise the results."""
    goals = [(result["name"], result["rows"][0]) for result in records["results"] if result["rows"][0]["goal"]]
    lines = []
    if goals:
        short = [name for name, row in goals if row["met"] is False]
        missing = [name for name, row in goals if row["score"] is None]
        lines.append(f"{sum(row['met'] is True for _, row in goals)} of {len(goals)} results reach their goals.")
        lines += [f"Below its goal: {'; '.join(short)}."] if short else []
        lines += [f"Not run: {'; '.join(missing)}."] if missing else []
    firsts = [
        (f"{result['dataset']} {row['score']['net']}", (row["score"], steps))
        for result in records["results"]
        for row in result["rows"][:1]
        if row["score"] and row["score"]["tested_on"] == "test" and (steps := _steps(records, row))
    ]
    for scores in grouped(firsts).values():
        (whole, most), (small, fewest) = (pick(scores, key=lambda pair: pair[0]["members"]) for pick in (max, min))
        if whole["method"] == "whole" and whole["members"] > small["members"] and most >= fewest:
            lines.append(_comparison(small, whole))
    broken = [stage["name"] for stage in records["stages"] if stage["status"] == "failed"]
    lines += [f"Failed stages: {', '.join(broken)}."] if broken else []
    return lines or most_accurate(records) or ["These runs have no test scores."]


def most_accurate(records: Records) -> list[str]:
    """Return, for each data set and number of members, the most accurate set, and random members beside it."""
    scores = [row["score"] for _, row in rows_of(records) if row["score"] and row["score"]["tested_on"] == "test"]
    lines = []
    for name, alike in grouped((f"{dataset_name(x['dataset'])}, {x['members']:,} members", x) for x in scores).items():
        best = max(alike, key=lambda score: score["mean"])
        line = f"{name}: {best['method']} reaches {percent(best['mean'])} % in {seconds(best['seconds'])}"
        chance = [score for score in alike if _as_random(score, best) and score is not best]
        lines.append(line + (f"; random members reach {percent(chance[0]['mean'])} %." if chance else "."))
    return lines


def _steps(records: Records, row: ResultRow) -> int:
    """Return the steps of a recipe that trained fresh networks; 0 if the set brought its own steps or weights."""
    protocol, score = records["protocols"].get(row.get("protocol", ""), {}), row["score"]
    if score is None or protocol.get("schedule") or score.get("changes"):
        return 0
    return int(protocol.get("recipes", {}).get(score["asked"], {}).get("steps", 0))


def _comparison(small: Score, whole: Score) -> str:
    part = 100 * small["members"] / whole["members"]
    share = f"{part:.{2 if part < 10 else 3}g} %"
    return (
        f"{dataset_name(small['dataset'])}: {small['net']} trained on {small['members']:,} members ({share} of "
        f"{whole['members']:,}) reaches {percent(small['mean'])} % in {seconds(small['seconds'])}; trained on the "
        f"whole set it reaches {percent(whole['mean'])} % in {seconds(whole['seconds'])}."
    )


def unfinished(records: Records) -> Table | None:
    """Return the stages that did not finish, and why; None if all did."""
    rows: list[tuple[str, ...]] = [
        (stage["name"], dataset_name(stage["dataset"]), STATES.get(stage["status"], stage["status"]), stage["error"])
        for stage in records["stages"]
        if stage["status"] != "done"
    ]
    return Table(("stage", "data set", "state", "error"), rows) if rows else None


def commands(records: Records) -> list[tuple[str, list[str]]]:
    """Return for every row the commands that produce it, in order; rows with the same commands are grouped."""
    names = grouped(
        (tuple(row["commands"]), " – ".join(filter(None, (result["name"], row["label"]))) + _origin(row))
        for result, row in rows_of(records)
        if row["commands"]
    )
    return [("; ".join(rows), list(lines)) for lines, rows in names.items()]


def _origin(row: ResultRow) -> str:
    """Return commits, start and machines of the stages that lead to a row; earlier versions did not record them all."""
    if row["score"] is None:
        return ""
    commits = ", ".join(name[:SHORT] for name in row.get("commits", [])) or "commit not on record"
    machines = " and ".join(row.get("machines", []))
    where = f"on {machines}" if machines else "machine not on record"
    return f" ({', '.join(filter(None, [commits, row.get('started'), where]))})"
