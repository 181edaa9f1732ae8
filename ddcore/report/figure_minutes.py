"""Accuracy against the minutes that a set took."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from ddcore.report.look import INK, QUIET, RULE, colours
from ddcore.report.names import dataset_name, percent

PANELS = {"hard": "hard labels", "soft": "soft or learned labels"}
SHORTEST = 1 / 600


def minutes_figure(record: dict[str, Any]) -> tuple[Figure, str]:
    """Test accuracy against minutes, a panel for each kind of labels; random members are a line across it.

    Args:
        record: of `ddcore.comparison.Comparison.run`.

    Returns:
        The figure, and what it shows for those who can't see it.
    """
    net = record["protocol"]["net"]
    shown = {
        (kind, slots): [cell for cell in record["cells"] if kind in cell["scores"] and cell["several_a_slot"] is slots]
        for slots in (False, True)
        for kind in PANELS
    }
    shown = {key: cells for key, cells in shown.items() if cells}
    shades = colours([cell["title"] for cell in record["cells"] if cell["title"] != "random"])
    figure = Figure(figsize=(5.6 * len(shown), 4.2))
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    facts, own = [], False
    for axis, ((kind, slots), cells) in zip(panels, shown.items(), strict=True):
        title = PANELS[kind] + (", several images a slot" if slots else "")
        labels: list[tuple[float, float, str]] = []
        for cell in cells:
            score, minutes = cell["scores"][kind][net], max(SHORTEST, cell["seconds"] / 60)
            mean, name = 100 * score["mean"], cell["title"]
            facts.append(f"{name} ({title}) {percent(score['mean'])} % in {cell['seconds'] / 60:.2f} minutes")
            if name == "random":
                axis.axhline(mean, color=QUIET, lw=1.2, ls=(0, (4, 3)), zorder=1)
                labels.append((minutes, mean, f"random  {mean:.1f}"))
                axis.plot(minutes, mean, "o", ms=5, color=QUIET, zorder=3)
                continue
            made_so = cell["labels"] == kind
            face = shades[name] if made_so else "white"
            axis.errorbar(minutes, mean, 100 * score["std"], fmt="o", ms=6, capsize=3, lw=1.3, color=shades[name],
                          mfc=face, zorder=3)  # fmt: skip
            labels.append((minutes, mean, f"{name}  {mean:.1f}"))
            steps = cell["own_steps"]
            if steps is not None and steps["labels"] == kind:
                own = True
                axis.plot(minutes, 100 * steps["mean"], "*", ms=10, color=shades[name], zorder=3)
        axis.set_xscale("log")
        axis.margins(y=0.1)
        times = [minutes for minutes, _, _ in labels]
        axis.set_xlim(min(times) / 2, max(times) * 12)
        _name(axis, labels)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_title(title)
        axis.set_xlabel("minutes to make the set (log scale)")
        axis.grid(axis="y", color=RULE, lw=0.6)
    panels[0].set_ylabel(f"test accuracy of {net}, %")
    figure.legend(handles=_legend(own), loc="upper center", bbox_to_anchor=(0.5, 0.0), ncol=2)
    figure.subplots_adjust(wspace=0.16)
    where = f"{dataset_name(record['protocol']['dataset'])}, {record['protocol']['budget']:,} members"
    return figure, f"Test accuracy of {net} against the minutes that the set took, {where}: {'; '.join(facts)}."


def _legend(own: bool) -> list[Line2D]:
    marks = [
        Line2D([], [], color=INK, marker="o", lw=0, label="made with these labels"),
        Line2D([], [], color=INK, marker="o", mfc="white", lw=0, label="made with others"),
    ]
    return marks + ([Line2D([], [], color=INK, marker="*", ms=9, lw=0, label="the set's own steps")] if own else [])


def _name(axis: Axes, labels: list[tuple[float, float, str]]) -> None:
    """Name the points at the right of the latest of them, pushed apart where the names would overlap."""
    low, high = axis.get_ylim()
    apart = (high - low) * 0.052
    place, x = -float("inf"), max(minutes for minutes, _, _ in labels) * 1.7
    ordered = sorted(labels, key=lambda label: label[1])
    places = []
    for _, value, _ in ordered:
        place = max(value, place + apart)
        places.append(place)
    excess = max(0.0, places[-1] - (high - apart / 2))
    for (minutes, value, text), place in zip(ordered, places, strict=True):
        axis.annotate(
            text, (minutes, value), xytext=(x, place - excess), va="center", fontsize=8, color=INK,
            arrowprops={"arrowstyle": "-", "color": RULE, "lw": 0.8, "shrinkA": 1, "shrinkB": 5},
        )  # fmt: skip
