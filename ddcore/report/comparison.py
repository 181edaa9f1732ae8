"""A comparison as tables, as a page and as JSON: what was measured apart from what others published."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib

from ddcore.report.document import Lines, Picture, Section, Text
from ddcore.report.figure_minutes import minutes_figure
from ddcore.report.figure_style import STYLE
from ddcore.report.figures import Drawn, saved
from ddcore.report.literature import CLASSES, Published, published
from ddcore.report.markdown import render
from ddcore.report.names import dataset_name, gigabytes, percent
from ddcore.report.tables import Table
from ddcore.runtime import write_atomic, write_json

KINDS = ("hard", "soft")
PICTURE = "comparison.svg"
NOTE = (
    "Accuracies are means ± standard deviations over freshly initialised networks, trained on the set alone by the "
    "same recipe and tested on the real test set. Hard: the members with their class labels. Soft: with the set's own "
    "soft or learned labels if it has them, else with the teacher's answers on its members. Own steps: the training "
    "that the set was made for, which only sets with learned step sizes have. Validation: in %, of the networks, "
    "mostly trained more briefly, by which a method keeps its best state. Over random: against random members under "
    "the same kind of labels, in points; ways that begin with random members begin with these. HLR, alpha (w = 0.5) "
    "and LRS are the label-fair scores, alpha and LRS for the kind of labels that the set was made with; HLR and alpha "
    "in points, LRS in percent."
)
PICTURE_NOTE = "The lines are random members. Sets that took about as long are drawn side by side."
PUBLISHED_NOTE = (
    "These figures were not measured here: other networks, epochs and augmentation, most of them on a GPU for hours. "
    "A star: quoted from memory, not read again in the paper."
)


def write_comparison(record: dict[str, Any], folder: Path) -> list[tuple[str, Table]]:
    """Write ``comparison.json``, ``comparison.md`` and the picture, and return the measured tables with their titles.

    Args:
        record: of `ddcore.comparison.comparison.Comparison.run`.
        folder: where to.

    Raises:
        DDCoreError: the folder cannot be written.
    """
    tables, others = measured_tables(record), _published(record)
    with matplotlib.rc_context(STYLE):
        drawn = saved(*minutes_figure(record), folder, PICTURE)
    listed = [asdict(each) | {"source": each.source} for each in others]
    write_json(folder / "comparison.json", {**record, "published": listed})
    write_atomic(folder / "comparison.md", page(record, tables, others, drawn).encode())
    return tables


def page(record: dict[str, Any], tables: list[tuple[str, Table]], others: list[Published], drawn: Drawn) -> str:
    """Return the comparison as Markdown."""
    found = [Section(f"measured-{k}", title, [each]) for k, (title, each) in enumerate(tables)]
    found[0].blocks += [Text(NOTE), Text(_terms(record))]
    found += [Section("transfer", "Carried over to other networks, %", [transfer_table(record["cells"])])]
    found += [Section("minutes", "Accuracy against minutes", [Picture(drawn, PICTURE_NOTE)])]
    left = [*record["skipped"].values(), *record["failed"].values()]
    if left:
        found.append(Section("left-out", "Left out", [Text(f"{line}.") for line in left]))
    if others:
        found.append(Section("published", "Published by others", [published_table(others), Text(PUBLISHED_NOTE)]))
    if "command" in record:
        found.append(Section("command", "The command", [Lines([("all rows", [record["command"]])])]))
    protocol = record["protocol"]
    return render(f"{dataset_name(protocol['dataset'])}, {protocol['budget']:,} members: a comparison", found)


def measured_tables(record: dict[str, Any]) -> list[tuple[str, Table]]:
    """Return the tables of what was measured, with titles: one image a slot and, where there are any, several."""
    one = [cell for cell in record["cells"] if not cell["several_a_slot"]]
    several = [cell for cell in record["cells"] if cell["several_a_slot"]]
    found = [("Measured here, one image a slot", measured_table(record, one))]
    return found + ([("Measured here, several images a slot", measured_table(record, several))] if several else [])


def measured_table(record: dict[str, Any], cells: Sequence[dict[str, Any]]) -> Table:
    """Return a row a cell; what others published of the same method stands in columns of its own, at the end."""
    protocol = record["protocol"]
    net, others = protocol["net"], _published(record)
    columns: list[tuple[str, list[str]]] = [
        ("set", [cell["title"] for cell in cells]),
        ("made with", [f"{cell['labels']} labels" for cell in cells]),
        *(
            (f"{net}, {kind} labels, %", [_accuracy(cell["scores"].get(kind, {}).get(net)) for cell in cells])
            for kind in KINDS
        ),
        ("own steps, %", [_accuracy(cell["own_steps"]) for cell in cells]),
        *((f"over random, {kind}", [_points(cell, kind, "ior") for cell in cells]) for kind in KINDS),
        ("HLR", [_points(cell, "hard", "hlr") for cell in cells]),
        ("alpha", [_points(cell, cell["labels"], "alpha") for cell in cells]),
        ("LRS, %", [_points(cell, cell["labels"], "lrs", signed=False) for cell in cells]),
        *(
            (f"{other}, {kind}", [_mean(cell["scores"].get(kind, {}).get(other)) for cell in cells])
            for kind in KINDS
            for other in protocol["others"]
        ),
        ("validation, start → best", [_rise(cell["validation"]) for cell in cells]),
        ("outer steps", [f"{cell['pace']['steps']:,}" if cell["pace"] else "" for cell in cells]),
        ("minutes", [f"{cell['seconds'] / 60:.2f}" for cell in cells]),
        ("peak memory", [gigabytes(cell["peak_gpu_memory_bytes"] or cell["peak_memory_bytes"]) for cell in cells]),
        *((f"published: {kind}", [_of_others(cell, kind, others) for cell in cells]) for kind in CLASSES),
    ]
    needed = {f"{net}, {kind} labels, %" for kind in KINDS}
    columns = [(head, texts) for head, texts in columns if head in needed or any(texts)]
    rows = list(zip(*(texts for _, texts in columns), strict=True))
    return Table(tuple(head for head, _ in columns), rows, numbers=tuple(range(2, len(columns))))


def transfer_table(cells: Sequence[dict[str, Any]]) -> Table:
    """Return every network's accuracy on each set, a row for each set and kind of labels."""
    nets = list(dict.fromkeys(net for cell in cells for kind in cell["scores"].values() for net in kind))
    rows = [
        (cell["title"], f"{labels} labels", *(_accuracy(scores.get(net)) for net in nets))
        for labels in KINDS
        for cell in cells
        if (scores := cell["scores"].get(labels)) is not None and len(scores) > 1
    ]
    return Table(("set", "trained with", *nets), rows, numbers=tuple(range(2, 2 + len(nets))))


def published_table(others: Sequence[Published]) -> Table:
    """Return what others published, the kinds of labels in columns of their own."""
    rows = [
        (
            each.method,
            str(each.ipc or "all"),
            *(each.shown if each.kind == kind else "" for kind in CLASSES),
            each.net,
            "; ".join(part for part in (each.source, each.note) if part),
        )
        for each in others
    ]
    heads = ("method", "images per class", *(f"{kind}, %" for kind in CLASSES), "network", "source")
    return Table(heads, rows, numbers=tuple(range(1, 2 + len(CLASSES))))


def _published(record: dict[str, Any]) -> list[Published]:
    each, left = divmod(record["protocol"]["budget"], record["protocol"]["classes"])
    return published(record["protocol"]["dataset"], None if left else each)


def _of_others(cell: dict[str, Any], kind: str, others: Sequence[Published]) -> str:
    """Return the figures of the same method; only for sets with its options as they come."""
    mine = cell["title"] == cell["way"]
    return " / ".join(each.shown for each in others if mine and each.way == cell["way"] and each.kind == kind)


def _accuracy(score: dict[str, Any] | None) -> str:
    if score is None:
        return ""
    return f"{percent(score['mean'])} ± {percent(score['std'])}" if score["n"] > 1 else percent(score["mean"])


def _rise(found: dict[str, float] | None) -> str:
    return "" if found is None else f"{percent(found['start'])} → {percent(found['best'])}"


def _mean(score: dict[str, Any] | None) -> str:
    return "" if score is None else percent(score["mean"])


def _points(cell: dict[str, Any], labels: str, name: str, signed: bool = True) -> str:
    value = cell["fair"].get(labels, {}).get(name)
    if value is None:
        return ""
    return f"{100 * value:+.2f}".replace("-", "−") if signed else percent(value)


def _terms(record: dict[str, Any]) -> str:
    protocol, whole = record["protocol"], record["whole"]
    seeds = len(protocol["seeds"])
    steps = protocol["recipes"][protocol["net"]]["steps"]
    teacher = f"The teacher is {protocol['teacher']}, its labels at temperature {protocol['temperature']:g}."
    real = "" if whole is None else f" The whole training set trains {protocol['net']} to {_mean(whole['score'])} %."
    return (
        f"{protocol['minutes']:g} minutes for each method whose steps are counted, turned once into a number of steps "
        f"by a timed probe; others take what they take. {seeds} network{'s' * (seeds != 1)} of each kind on one set of "
        f"each row, {steps:,} steps of {protocol['net']}. "
        f"{teacher if protocol['teacher'] else 'There was no teacher.'}{real} {protocol['source']}"
    )
