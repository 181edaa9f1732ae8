"""Accuracy of published cells against the compute of their sets, with the published figure at the paper's compute."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from ddcore.report.figure_style import RULE, colours
from ddcore.report.figures import FigureSpec
from ddcore.report.names import dataset_name
from ddcore.report.records import grouped

Record = Mapping[str, Any]


def draw(records: list[Record]) -> tuple[Figure, str] | None:
    """Draw a panel per data set and number of images per class, a line per method with several sizes.

    Args:
        records: of ``scripts/published.py``.
    """
    cells = grouped(((each["dataset"], each["ipc"], each["method"]), each) for each in records)
    curves = {key: sorted(each, key=lambda one: one["real_share"]) for key, each in cells.items() if len(each) > 1}
    if not curves:
        return None
    panels = list(dict.fromkeys((dataset, ipc) for dataset, ipc, _ in curves))
    figure = Figure(figsize=(6.4 * len(panels), 4.0))
    shades, facts = colours([method for _, _, method in curves]), []
    for axis, (dataset, ipc) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for (of, images, method), points in curves.items():
            if (of, images) != (dataset, ipc):
                continue
            shares = [100 * each["real_share"] for each in points]
            means = [100 * each["accuracy"]["mean"] for each in points]
            spreads = [100 * each["accuracy"]["std"] for each in points]
            goal = points[0]["published"]["accuracy"]
            axis.errorbar(shares, means, spreads, color=shades[method], marker="o", ms=5, lw=1.4, capsize=3)
            axis.plot([100], [goal], marker="*", ms=13, mfc="none", color=shades[method])
            axis.plot([shares[-1], 100], [means[-1], goal], color=shades[method], lw=1, ls=":")
            place = {"textcoords": "offset points", "ha": "right", "color": shades[method]}
            axis.annotate(method, (100, goal), (-12, 2), **place)
            reached = ", ".join(f"{mean:.1f} % at {share:.2g} %" for share, mean in zip(shares, means, strict=True))
            facts.append(
                f"{method} on {dataset_name(dataset)}, {ipc} images per class: {reached}; published {goal:g} %"
            )
        axis.set(xscale="log", xlabel="real images that the steps read, % of the paper's", ylabel="test accuracy, %")
        axis.set_title(f"{dataset_name(dataset)}, {ipc} images per class")
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.grid(color=RULE, lw=0.6)
    figure.tight_layout()
    return figure, f"Accuracy against compute. {'; '.join(facts)}."


FIGURE = FigureSpec(
    "published",
    "Accuracy against compute",
    "Filled: reached here, ± the standard deviation over networks. Stars: published, at the paper's real images.",
    draw,
    file="published.svg",
)
