"""The quantities that the stages logged while they ran."""

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ddcore.report.figure_style import RULE, colours
from ddcore.report.figures import FigureSpec
from ddcore.report.records import Curve, Records, grouped


def draw(records: Records) -> tuple[Figure, str] | None:
    """Draw the logged quantities over the steps of each stage: validation accuracy, otherwise the loss."""
    if not (chosen := _chosen(records["curves"])):
        return None
    columns = min(3, len(chosen))
    lines = -(-len(chosen) // columns)
    figure = Figure(figsize=(3.9 * columns, 2.7 * lines))
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel in panels[len(chosen) :]:
        panel.set_visible(False)
    shades = colours([curve["dataset"] for curve in records["curves"]])
    for panel, curve in zip(panels, chosen, strict=False):
        name = "validation accuracy" if curve["key"] == "validation" else curve["key"].replace("_", " ")
        scale = 100 if "accuracy" in name else 1
        mark = "o" if len(curve["steps"]) < 15 else ""
        y = [scale * value for value in curve["values"]]
        panel.plot(curve["steps"], y, lw=1.6, color=shades[curve["dataset"]], marker=mark, ms=3)
        panel.set_title(curve["stage"], fontsize=9.5)
        panel.set(ylabel=name + (", %" if scale == 100 else ""), xlabel="step")
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        panel.locator_params(axis="x", nbins=5)
        panel.grid(axis="y", color=RULE, lw=0.6)
    figure.tight_layout(h_pad=1.4, w_pad=1.6)
    facts = "; ".join(f"{c['stage']}: {c['key']} from {c['values'][0]:.3g} to {c['values'][-1]:.3g}" for c in chosen)
    return figure, f"Values logged during the stages. {facts}."


def _chosen(curves: list[Curve], most: int = 12) -> list[Curve]:
    """Return one or two curves per stage: first those on the validation split, then losses."""
    by_stage = grouped((curve["stage"], curve) for curve in curves if len(curve["steps"]) > 1)
    ranked = []
    for mine in by_stage.values():
        valid = [curve for curve in mine if "validation" in curve["key"] or "accuracy" in curve["key"]]
        losses = [curve for curve in mine if "loss" in curve["key"] and curve not in valid]
        valid.sort(key=lambda curve: "validation" not in curve["key"])
        ranked += [(0, curve) for curve in valid[:1]] + [(1 if valid else 2, curve) for curve in losses[:1]]
    return [curve for _, curve in sorted(ranked, key=lambda pair: pair[0])[:most]]


FIGURE = FigureSpec(
    "curves",
    "Training and outer-loop curves",
    "Outer-loop steps for distillation, optimiser steps for training; an evaluation trains its networks one after the "
    "other, and the loss starts again with each. Nothing here reads the test set.",
    draw,
)
