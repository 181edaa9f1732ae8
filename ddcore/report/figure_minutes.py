"""Accuracy against the minutes it took to produce a set."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from ddcore.report.figure_style import INK, PALETTE, QUIET, RULE, colours
from ddcore.report.figures import FigureSpec
from ddcore.report.names import dataset_name
from ddcore.runtime import JSONObject
from ddcore.training import percent

PANELS = {"hard": "hard labels", "soft": "soft or learned labels"}
MARKS = ("o", "s", "^", "v")
# Smallest minutes drawn; sets whose minutes differ by at most the second factor are drawn apart by the third.
SHORTEST, ALIKE, APART = 1 / 600, 1.3, 1.16
PANEL, LETTER = 4.4, 0.068
# How wide a panel of one set is, in panels of several.
ALONE = 0.4


def draw(record: JSONObject) -> tuple[Figure, str]:
    """Draw test accuracy against minutes, one panel per kind of labels, with a line at random members.

    Args:
        record: the content of ``comparison.json``.

    Returns:
        The figure, and its description for readers who cannot see it.
    """
    net = record["protocol"]["net"]
    shown = {
        (kind, slots): cells
        for slots in (False, True)
        for kind in PANELS
        if (cells := [c for c in record["cells"] if kind in c["scores"] and c["several_a_slot"] is slots])
    }
    titles = [cell["title"] for cell in record["cells"] if cell["title"] != "random"]
    styles = {
        title: (shade, MARKS[k // len(PALETTE) % len(MARKS)])
        for k, (title, shade) in enumerate(colours(titles).items())
    }
    # Inches of the panels, and of the names on their right.
    widths = [PANEL * (ALONE if len(cells) == 1 else 1.0) for cells in shown.values()]
    names = [LETTER * (12 + max(len(cell["title"]) for cell in cells)) for cells in shown.values()]
    between = max(names[:-1], default=0.0)
    figure = Figure(figsize=(sum(widths) + between * (len(shown) - 1) + names[-1], 4.2))
    grid = {"width_ratios": widths, "wspace": (between + 0.7) * len(shown) / sum(widths)}
    panels = figure.subplots(1, len(shown), squeeze=False, gridspec_kw=grid)[0]
    facts = []
    for axis, ((kind, slots), cells) in zip(panels, shown.items(), strict=True):
        title = PANELS[kind] + (", multi-formation" if slots else "")
        labels: list[tuple[float, str, str]] = []
        for cell, minutes in zip(cells, side_by_side([cell["seconds"] / 60 for cell in cells]), strict=True):
            score, name = cell["scores"][kind][net], cell["title"]
            mean, spread = 100 * score["mean"], 100 * score["std"]
            facts.append(f"{name} ({title}) {percent(mean / 100)} % in {cell['seconds'] / 60:.2f} minutes")
            if name == "random":
                axis.axhline(mean, color=QUIET, lw=1.2, ls=(0, (4, 3)), zorder=1)
            shade, mark = styles.get(name, (QUIET, "o"))
            face = shade if name == "random" or cell["labels"] == kind else "white"
            axis.errorbar(minutes, mean, spread, fmt=mark, ms=6, capsize=3, lw=1.3, color=shade, mfc=face, zorder=3)
            labels.append((mean, f"{name}  {mean:.1f}", shade))
            if _follows(cell, kind):
                axis.plot(minutes, 100 * cell["own_steps"]["mean"], "*", ms=10, color=shade, zorder=3)
        axis.set_xscale("log")
        axis.margins(x=0.08, y=0.1)
        _label(axis, labels)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set(title=title, xlabel="minutes to produce the set (log scale)")
        axis.grid(axis="y", color=RULE, lw=0.6)
    panels[0].set_ylabel(f"test accuracy of {net}, %")
    followed = any(_follows(cell, kind) for cell in record["cells"] for kind in PANELS)
    figure.legend(handles=_legend(followed), loc="upper center", bbox_to_anchor=(0.5, 0.0), ncol=3)
    where = f"{dataset_name(record['protocol']['dataset'])}, {record['protocol']['budget']:,} members"
    return figure, f"Test accuracy of {net} against the minutes to produce the set, {where}: {'; '.join(facts)}."


def side_by_side(minutes: Sequence[float]) -> list[float]:
    """Return where to draw each of some times: similar ones side by side, around their median."""
    places = [max(SHORTEST, each) for each in minutes]
    groups: list[list[int]] = []
    for k in sorted(range(len(minutes)), key=lambda k: minutes[k]):
        if groups and places[k] <= ALIKE * places[groups[-1][-1]]:
            groups[-1].append(k)
        else:
            groups.append([k])
    shifted = list(places)
    for group in groups:
        middle = places[group[len(group) // 2]]
        for rank, k in enumerate(sorted(group)):
            shifted[k] = middle * APART ** (rank - (len(group) - 1) / 2)
    return shifted


def _follows(cell: JSONObject, kind: str) -> bool:
    return cell["own_steps"] is not None and cell["own_steps"]["labels"] == kind


def _legend(followed: bool) -> list[Line2D]:
    marks = [
        Line2D([], [], color=INK, marker="o", lw=0, label="produced with these labels"),
        Line2D([], [], color=INK, marker="o", mfc="white", lw=0, label="produced with others"),
    ]
    return marks + ([Line2D([], [], color=INK, marker="*", ms=9, lw=0, label="the set's own steps")] * followed)


def _label(axis: Axes, labels: list[tuple[float, str, str]]) -> None:
    """Label the points on the right of the panel, in their order, moved apart where labels would overlap."""
    low, high = axis.get_ylim()
    apart = (high - low) * 0.052
    ordered = sorted(labels)
    places: list[float] = []
    for value, _, _ in ordered:
        places.append(max([value, *(place + apart for place in places[-1:])]))
    excess = max(0.0, places[-1] - (high - apart / 2))
    for place, (_, text, shade) in zip(places, ordered, strict=True):
        axis.annotate(
            text, (1.02, place - excess), xycoords=("axes fraction", "data"), va="center", fontsize=8.5, color=shade
        )


FIGURE = FigureSpec(
    "minutes",
    "Accuracy against minutes",
    "The lines are random members. Sets that took about as long are drawn side by side.",
    draw,
    file="comparison.svg",
)
