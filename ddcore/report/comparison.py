"""A comparison as tables, as a page and as JSON; measured and published accuracies are kept apart."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ddcore.report.document import Lines, Section, figure_sections
from ddcore.report.figures import COMPARISON, Pictures, draw_figures
from ddcore.report.literature import CLASSES, ENTRIES, PAPERS, Published, published
from ddcore.report.markdown import render
from ddcore.report.names import dataset_name, gigabytes, network_name, spread
from ddcore.report.protocol import SHORT
from ddcore.report.records import grouped
from ddcore.report.tables import NOT_ABOVE, Table, recalls
from ddcore.runtime import JSONObject, write_atomic, write_json
from ddcore.training import PROTOCOLS, percent, protocol_name

KINDS = ("hard", "soft")
BALANCED = "balanced_accuracy"
ONE_SET = (
    "Accuracies are means ± standard deviations over freshly initialised networks that are trained only on the set, "
    "with the same recipe, and tested on the real test set. A row is one set: how far the set of another seed would "
    "lie from it was not measured. "
)
SEVERAL_SETS = (
    "An entry that draws at random is made several times, each time with another seed and the same teacher; an entry "
    "that draws nothing is made once (1 set). Accuracies are means over the sets of a row and over freshly initialised "
    "networks that are trained only on one set, with the same recipe and the same seeds on every set, and tested on "
    "the real test set. After ± stands the spread between sets: the standard deviation of the sets' means. In brackets "
    "stands the spread between networks: the standard deviation over the networks on one set, as the root mean square "
    "over the sets. Minutes and validation are means over the sets. The bars of the figure are standard deviations "
    "over all networks on all sets. "
)
NOTE = (
    "Hard: the members with their class labels. Soft: the members with the set's own "
    "soft or learned labels, otherwise with the teacher's labels. Own steps: training with "
    "the set's learned step sizes, if it has any. Validation: accuracy in % of the networks by which a method selects "
    "its best state; they are mostly trained for fewer steps. Over random: difference to random members with the same "
    "kind of labels, in points; methods whose init is random members start from these. HLR, alpha (w = 0.5) and LRS "
    "are the label-robust scores, alpha and LRS for the kind of labels that the set was produced with; HLR and alpha "
    "in points, LRS in percent. Reading: the place of the score among all test scores on record of that data set, "
    "entry, number of members, kind of labels and network."
)
ABOVE_ONE = (
    " “Not above random”: the difference to random members with the same labels is at most the sum of both standard "
    "deviations. Log-loss is in nats."
)
ABOVE_SEVERAL = (
    " A row is above random members only if its mean exceeds theirs, with the same labels, by more than the sum of "
    "both rows' spreads between sets (0 for 1 set) and by more than the sum of both rows' spreads between networks. "
    "“Not above random” marks the rows of which this is not true. Log-loss is in nats."
)
BOTH = ": mean ± between sets (between networks)"
# Comparisons of earlier versions do not say what their scores are.
MEASURED = {
    "accuracy": " The scores are accuracies.",
    BALANCED: " The scores are balanced accuracies (the mean recall of the classes), because the largest test class "
    "is over twice the smallest; the columns “accuracy” hold the plain ones.",
}
PUBLISHED_NOTE = (
    "These accuracies were not measured here: networks, epochs and augmentation differ, and most took hours on a GPU. "
    "A star: quoted from memory, not checked against the paper."
)


def write_comparison(record: JSONObject, folder: Path) -> list[tuple[str, Table]]:
    """Write ``comparison.json``, ``comparison.md`` and the figures, and return the measured tables with their titles.

    Args:
        record: the content of ``comparison.json``, without what others published.
        folder: to write to.

    Raises:
        DDCoreError: the folder cannot be written.
    """
    tables, others = measured_tables(record), _published(record)
    drawn = draw_figures(COMPARISON, record, folder)
    listed = [asdict(each) | {"source": PAPERS[each.method]} for each in others]
    write_json(folder / "comparison.json", {**record, "published": listed})
    write_atomic(folder / "comparison.md", page(record, tables, others, drawn).encode())
    return tables


def page(record: JSONObject, tables: list[tuple[str, Table]], others: list[Published], drawn: Pictures) -> str:
    """Return the comparison as Markdown."""
    protocol, left = record["protocol"], [*record["skipped"].values(), *record["failed"].values()]
    (title, first), *more = tables
    said, commits = "command" in record, commits_of(record["cells"])
    cells, transfer = sets_of(record["cells"]), transfer_table(record["cells"])
    alike = len({cell.get("environment", {}).get("commit") or cell["title"] for cell in cells}) == 1
    note = (SEVERAL_SETS if drawn_several(record["cells"]) else ONE_SET) + NOTE
    rows = "all rows" if alike else "the call that added the last rows"
    sections = [
        Section("measured-0", title, [first, note, _terms(record), *same_sets(record["cells"])]),
        *(Section("measured-1", title, [each]) for title, each in more),
        Section("controls", "Beside their controls", [*control_lines(record)]),
        Section("transfer", "Transfer to other networks, %", [transfer] if transfer.rows else []),
        *figure_sections(COMPARISON, record, drawn),
        Section("left-out", "Left out", [f"{line}." for line in left]),
        Section("published", "Published by others", [published_table(others), PUBLISHED_NOTE] if others else []),
        Section("command", "The command", [commits, Lines([(rows, [record["command"]])])] if said else []),
    ]
    title = f"{dataset_name(protocol['dataset'])}, {protocol['budget']:,} members: a comparison"
    return render(title, [section for section in sections if section.blocks])


def measured_tables(record: JSONObject) -> list[tuple[str, Table]]:
    """Return the tables of measured accuracies with their titles; multi-formation sets have a table of their own."""
    one = [cell for cell in record["cells"] if not cell["several_a_slot"]]
    several = [cell for cell in record["cells"] if cell["several_a_slot"]]
    tables = [("Measured here, one image per slot", measured_table(record, one))]
    return tables + ([("Measured here, multi-formation", measured_table(record, several))] if several else [])


def measured_table(record: JSONObject, cells: Sequence[JSONObject]) -> Table:
    """Return one row per cell; published accuracies of the same method are separate columns at the end."""
    protocol = record["protocol"]
    net, beside = protocol["net"], _beside(record)
    second = "accuracy" if protocol.get("measure") == BALANCED else BALANCED
    title = second.replace("_", " ")
    both = BOTH if drawn_several(record["cells"]) else ""
    columns: list[tuple[str, list[str]]] = [
        ("set", [cell["title"] for cell in cells]),
        ("produced with", [f"{cell['labels']} labels" for cell in cells]),
        ("sets", [_sets(cell) for cell in cells]),
        *((f"{net}, {kind} labels, %{both}", [_reached(cell, kind, net) for cell in cells]) for kind in KINDS),
        *(
            (f"{title}, {kind}, %{both}", [spread(_measure(cell, kind, net, second)) for cell in cells])
            for kind in KINDS
        ),
        *((f"log-loss, {kind}", [_loss(cell, kind, net) for cell in cells]) for kind in KINDS),
        *((f"lowest recall, {kind}, %", [_lowest(cell, kind, net) for cell in cells]) for kind in KINDS),
        *((f"reading, {kind}", [_reading(cell, kind) for cell in cells]) for kind in KINDS),
        (f"own steps, %{both}", [spread(cell["own_steps"]) for cell in cells]),
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
        ("stored images", [_stored(cell) for cell in cells]),
        ("label bytes, soft", [_label_bytes(cell, protocol) for cell in cells]),
        ("minutes", [f"{cell['seconds'] / 60:.2f}" for cell in cells]),
        ("peak memory", [gigabytes(cell["peak_gpu_memory_bytes"] or cell["peak_memory_bytes"]) for cell in cells]),
        *((f"published: {kind}", [_of_others(cell, kind, beside) for cell in cells]) for kind in CLASSES),
    ]
    needed = {f"{net}, {kind} labels, %{both}" for kind in KINDS}
    heads, texts = zip(*((head, cells) for head, cells in columns if head in needed or any(cells)), strict=True)
    return Table(heads, list(zip(*texts, strict=True)), numbers=tuple(range(2, len(heads))))


def transfer_table(cells: Sequence[JSONObject]) -> Table:
    """Return the accuracy of every network on the sets of each row of a comparison, per kind of labels."""
    nets = list(dict.fromkeys(net for cell in cells for kind in cell["scores"].values() for net in kind))
    rows = [
        (cell["title"], f"{labels} labels", *(spread(scores.get(net)) for net in nets))
        for labels in KINDS
        for cell in cells
        if (scores := cell["scores"].get(labels)) is not None and len(scores) > 1
    ]
    both = BOTH if drawn_several(cells) else ""
    heads = ("set", "trained with", *(f"{net}{both}" for net in nets))
    return Table(heads, rows, numbers=tuple(range(2, 2 + len(nets))))


def published_table(others: Sequence[Published]) -> Table:
    """Return the published accuracies, one column per kind of labels."""
    rows = [
        (
            each.method,
            str(each.ipc or "all"),
            *(each.shown if each.kind == kind else "" for kind in CLASSES),
            each.net,
            "; ".join(filter(None, (PAPERS[each.method], each.note))),
        )
        for each in others
    ]
    heads = ("method", "images per class", *(f"{kind}, %" for kind in CLASSES), "network", "source")
    return Table(heads, rows, numbers=tuple(range(1, 2 + len(CLASSES))))


def _published(record: JSONObject) -> list[Published]:
    each, left = divmod(record["protocol"]["budget"], record["protocol"]["classes"])
    return published(record["protocol"]["dataset"], None if left else each)


def _beside(record: JSONObject) -> list[Published]:
    """Return the published accuracies that stand beside measured ones: under the same protocol, on its network."""
    protocol = record["protocol"]
    name = protocol_name(protocol)
    return [each for each in _published(record) if each.protocol == name and PROTOCOLS[name].net == protocol["net"]]


def _of_others(cell: JSONObject, kind: str, others: Sequence[Published]) -> str:
    """Return the published accuracies of the cell's method; only for sets with its default options."""
    default = cell["title"] == cell["way"]
    mine = [each for each in others if ENTRIES.get(each.method, each.method) == cell["way"] and each.kind == kind]
    return " / ".join(each.shown for each in mine if default)


def drawn_several(cells: Sequence[JSONObject]) -> bool:
    """Return whether some cells are of a comparison whose entries were made several times."""
    return any("draws" in cell for cell in cells)


def sets_of(cells: Sequence[JSONObject]) -> list[JSONObject]:
    """Return the cells of all sets of some rows; a row of a comparison without draws is its own cell."""
    return [each for cell in cells for each in cell.get("draws", [cell])]


def _sets(cell: JSONObject) -> str:
    """Return how many sets a row has, and how many of them differ; empty in a comparison without draws."""
    if "draws" not in cell:
        return ""
    count, different = len(cell["draws"]), len({each["set"] for each in cell["draws"]})
    return f"{count} set{'s' * (count != 1)}" + (f", {different} different" if different < count else "")


def _reached(cell: JSONObject, kind: str, net: str) -> str:
    marked = cell.get("above_random", {}).get(kind) is False
    return spread(cell["scores"].get(kind, {}).get(net)) + NOT_ABOVE * marked


def _measure(cell: JSONObject, kind: str, net: str, name: str) -> JSONObject | None:
    """Return one more measure of a cell; None in comparisons of versions that measured the accuracy alone."""
    score: JSONObject = cell["scores"].get(kind, {}).get(net, {})
    return score.get(name)


def _loss(cell: JSONObject, kind: str, net: str) -> str:
    loss = _measure(cell, kind, net, "log_loss")
    return "" if loss is None else f"{loss['mean']:.4f}"


def _lowest(cell: JSONObject, kind: str, net: str) -> str:
    """Return the class with the lowest recall, and that recall in percent."""
    return recalls(_measure(cell, kind, net, "recall") or {}, 1)


def _reading(cell: JSONObject, kind: str) -> str:
    place = cell.get("reading", {}).get(kind)
    return f"{', '.join(map(str, place.get('numbers', [place['number']])))} of {place['of']}" if place else ""


def _rise(accuracy: dict[str, float] | None) -> str:
    return "" if accuracy is None else f"{percent(accuracy['start'])} → {percent(accuracy['best'])}"


def control_lines(record: JSONObject) -> list[str]:
    """Return a sentence for each row and each of its controls: how far apart they are, with equal labels."""
    rows, net = {cell["title"]: cell for cell in record["cells"]}, record["protocol"]["net"]
    sentences = []
    for title, cell in rows.items():
        for control, above in cell.get("above_controls", {}).items():
            parts = []
            for kind, over in above.items():
                apart = cell["scores"][kind][net]["mean"] - rows[control]["scores"][kind][net]["mean"]
                more = "more" if over else "not more"
                parts.append(f"{kind} labels {_signed(apart)} points, {more} than both spreads")
            sentences.append(f"{title} beside {control}: {'; '.join(parts)}.")
    return sentences


def _stored(cell: JSONObject) -> str:
    """Return how many images a set stores, and of what each consists, where that is not the images trained on."""
    factor, tiles, members = cell.get("factor", 1), cell.get("tiles", 1), cell["members"]
    if factor > 1:
        return f"{members // factor**2:,}, decoded to {members:,}"
    return f"{members:,}, of {tiles**2} small ones each" if tiles > 1 else ""


def _label_bytes(cell: JSONObject, protocol: JSONObject) -> str:
    """Return the bytes of a set's soft labels: a number of four bytes for each member and class, if any is stored."""
    if "soft" not in cell["scores"]:
        return ""
    live = PROTOCOLS[protocol_name(protocol)].by_crop
    return "0, asked crop by crop" if live else f"{4 * cell['members'] * protocol['classes']:,}"


def _signed(fraction: float) -> str:
    return f"{100 * fraction:+.2f}".replace("-", "−")


def _mean(score: JSONObject | None) -> str:
    return "" if score is None else percent(score["mean"])


def _points(cell: JSONObject, labels: str, name: str, signed: bool = True) -> str:
    value = cell["fair"].get(labels, {}).get(name)
    return "" if value is None else _signed(value) if signed else percent(value)


def same_sets(cells: Sequence[JSONObject]) -> list[str]:
    """Return a sentence for each group of cells that ended as the same set, by their digests, else by their scores."""
    digests = ([str(each.get("set") or "") for each in sets_of([cell])] for cell in cells)
    names = (" ".join(each) if all(each) else "" for each in digests)
    groups = grouped((name or json.dumps(_values(cell)), (name, cell)) for name, cell in zip(names, cells, strict=True))
    return [
        f"{' and '.join(cell['title'] for _, cell in group)} "
        + (
            f"ended as the same set{'s' * (' ' in group[0][0])}."
            if group[0][0]
            else "have the same scores, to the last digit."
        )
        for group in groups.values()
        if len(group) > 1
    ]


def _values(cell: JSONObject) -> list[list[float]]:
    return [score["values"] for nets in cell["scores"].values() for score in nets.values()]


def commits_of(cells: Sequence[JSONObject]) -> str:
    """Return a sentence on the commits at which cells were measured, on which machines, and when."""
    where = [{"commit": "unknown", **each.get("environment", {})} for each in sets_of(cells)]
    word = "sets" if drawn_several(cells) else "rows"
    commits = list(dict.fromkeys(each["commit"] for each in where))
    places = (each.get("cpu") if each.get("device", "cpu") == "cpu" else each["device"] for each in where)
    machines = dict.fromkeys(str(place) for place in places if place)
    times = sorted({str(each["started"]) for each in where if each.get("started")})
    started = f"from {times[0]} to {times[-1]}" if len(times) > 1 else "".join(times)
    between = f", started {started}" if times else ""
    if commits == ["unknown"]:
        return f"The commits and machines of these {word} are not on record."
    names = [f"{name[:SHORT]} ({sum(each['commit'] == name for each in where)} {word})" for name in commits]
    return f"Measured at commit {', '.join(names)} on {', '.join(machines) or 'an unknown machine'}{between}."


def _terms(record: JSONObject) -> str:
    protocol, whole = record["protocol"], record["whole"]
    seeds = len(protocol["seeds"])
    steps = protocol["recipes"][protocol["net"]]["steps"]
    reached = protocol.get("teacher_accuracy")
    right = "" if reached is None else f", right for {percent(reached)} % of the validation split"
    teacher = f"The teacher is {protocol['teacher']}{right}, its labels at temperature {protocol['temperature']:g}."
    several = drawn_several(record["cells"])
    sets = "every set of a row" if several else "one set per row"
    measure = MEASURED.get(protocol.get("measure", ""), "")
    above = (ABOVE_SEVERAL if several else ABOVE_ONE) if measure else ""
    real = "" if whole is None else f" On the whole training set {protocol['net']} reaches {_mean(whole['score'])} %."
    return (
        f"Each method with outer steps has {protocol['minutes']:g} minutes, which a timed probe converts once into a "
        f"number of steps; other methods run to their end. {seeds} network{'s' * (seeds != 1)} of each kind on "
        f"{sets}, {network_name(protocol['net'])} for {steps:,} steps. "
        f"{teacher if protocol['teacher'] else 'There was no teacher.'}{real} {protocol['source']}"
        f"{measure}{above}"
    )
