"""Confusion matrices of the whole set and of the smallest."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ddcore.report.figure_style import INK
from ddcore.report.figures import FigureSpec
from ddcore.report.records import Confusion, Records, grouped

MOST_NAMED = 60
"""Classes up to which a matrix has their names and its numbers; with more it is a picture alone."""


def draw(records: Records) -> tuple[Figure, str] | None:
    """Draw confusion matrices in percent of each true class: one row per data set, the whole set on the left."""
    if not (by_dataset := grouped((each["dataset"], each) for each in records["confusions"])):
        return None
    heights = [0.34 * max(3, min(len(mine[0]["classes"]), MOST_NAMED)) + 1.5 for mine in by_dataset.values()]
    figure = Figure(figsize=(11.5, sum(heights)))
    parts = figure.subfigures(len(by_dataset), 1, squeeze=False, height_ratios=heights)[:, 0]
    facts = []
    for part, mine, height in zip(parts, by_dataset.values(), heights, strict=True):
        axes = part.subplots(1, 2, squeeze=False)[0]
        part.subplots_adjust(wspace=0.38, left=0.13, right=0.99, bottom=1.05 / height, top=1 - 0.35 / height)
        for axis in axes[len(mine) :]:
            axis.set_visible(False)
        facts += [_draw_confusion(axis, each) for axis, each in zip(axes, mine, strict=False)]
    return figure, f"Confusion matrices in percent of each true class. {' '.join(facts)}"


def _draw_confusion(axis: Axes, each: Confusion) -> str:
    counts = np.array(each["counts"], dtype=float)
    share = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axis.imshow(np.sqrt(share / 100), cmap="Blues", vmin=0, vmax=1.15, aspect="auto")
    names = each["classes"]
    places = range(len(names) if len(names) <= MOST_NAMED else 0)
    axis.set_xticks(places, names[: len(places)])
    if len(places) > 4:
        for label in axis.get_xticklabels():
            label.set(rotation=35, ha="right", rotation_mode="anchor")
    axis.set_yticks(places, names[: len(places)])
    axis.tick_params(length=0, labelcolor=INK, labelsize=9)
    axis.spines[:].set_visible(False)
    for true in places:
        for predicted in places:
            if (value := share[true, predicted]) >= 0.05:
                colour = "white" if value > 55 else INK
                axis.text(predicted, true, f"{value:.1f}", ha="center", va="center", fontsize=8, color=colour)
    right = 100 * counts.trace() / max(counts.sum(), 1)
    axis.set_title(f"{each['title']}: {right:.1f} % right", fontsize=10)
    axis.set(xlabel="predicted", ylabel="true")
    wrong = share - np.diag(np.diag(share))
    true, predicted = divmod(int(wrong.argmax()), len(names))
    return f"{each['title']}: most often {names[true]} is taken for {names[predicted]} ({wrong.max():.1f} %)."


FIGURE = FigureSpec(
    "confusion",
    "Confusion matrices",
    "Percent of each true class (rows), over all networks of the score; left the whole set, right the smallest set. "
    "Empty cells are below 0.05 %.",
    draw,
)
