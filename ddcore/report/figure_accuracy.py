"""Accuracy against the number of members."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from ddcore.report.figure_style import INK, QUIET, RULE, scores_of, usual_scores
from ddcore.report.figures import FigureSpec
from ddcore.report.names import dataset_name, family
from ddcore.report.records import Records, grouped
from ddcore.training import Score, percent

FAMILIES = {
    "whole set": "#1f2933",
    "selected or synthetic, soft labels": "#0072B2",
    "selected or synthetic, hard labels": "#D55E00",
    "selected or synthetic, labels by crop": "#6f4fa2",
    "multi-formation": "#CC79A7",
    "random, soft labels": "#7fb2d6",
    "random, hard labels": "#e9a87a",
    "random, labels by crop": "#b9a5d6",
    "whole set, soft labels": "#009E73",
}


def draw(records: Records) -> tuple[Figure, str] | None:
    """Draw accuracy against budget, one panel per data set, the whole set at the right end."""
    if not (by_dataset := scores_of(records)):
        return None
    figure = Figure(figsize=(5.9 * len(by_dataset), 4.3))
    panels = figure.subplots(1, len(by_dataset), squeeze=False)[0]
    used: dict[str, str] = {}
    for axis, (dataset, scores) in zip(panels, by_dataset.items(), strict=True):
        # Without a score of the whole set, no point may be labelled as one.
        whole = max((score["members"] for score in scores if score["method"] == "whole"), default=0)
        usual = usual_scores(scores)
        lines = grouped((family(score, whole), score) for score in usual)
        for name in (name for name in FAMILIES if name in lines):
            points = sorted(lines[name], key=lambda score: (score["members"], score["mean"]))
            used[name] = FAMILIES[name]
            x, y, spread = zip(*((p["members"], 100 * p["mean"], 100 * p["std"]) for p in points), strict=True)
            axis.errorbar(x, y, spread, fmt="o", ms=6, capsize=3, lw=1.4, color=used[name], zorder=3)
            best = dict(zip(x, y, strict=True))
            axis.plot(list(best), list(best.values()), lw=1.4, color=used[name], alpha=0.6, zorder=2)
        others = [score for score in scores if score not in usual]
        for score in others:
            axis.plot(score["members"], 100 * score["mean"], "D", ms=5, mfc="white", mec=QUIET, zorder=3)
        budgets = sorted({score["members"] for score in scores})
        smallest = [score for score in scores if score["members"] == budgets[0]]
        axis.set(xscale="log", xlim=(budgets[0] / (15 if len(budgets) > 1 else 3), budgets[-1] * 1.6))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_xticks(budgets, _tick_labels(budgets))
        axis.tick_params(axis="x", labelsize=9)
        axis.margins(y=0.12)
        for budget in budgets[1:]:
            best_there = max(100 * score["mean"] for score in scores if score["members"] == budget)
            axis.annotate(
                f"{best_there:.1f}", (budget, best_there), (0, 7), textcoords="offset points", ha="center", fontsize=8
            )
        labels = [
            (100 * score["mean"], f"{fill(name, 20)}  {100 * score['mean']:.1f}")
            for score, name in zip(smallest, point_names(smallest, others), strict=True)
        ]
        _label_left(axis, labels, budgets[0])
        axis.set(title=dataset_name(dataset), xlabel="members trained on (log scale)")
        axis.grid(axis="y", color=RULE, lw=0.6)
    panels[0].set_ylabel("test accuracy, %")
    handles = [Line2D([], [], color=colour, marker="o", lw=1.4, label=name) for name, colour in used.items()]
    if any(len(usual_scores(scores)) < len(scores) for scores in by_dataset.values()):
        handles.append(Line2D([], [], color=QUIET, marker="D", mfc="white", lw=0, label="another network"))
    figure.subplots_adjust(wspace=0.16)
    figure.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncol=3)
    facts = "; ".join(f"{dataset_name(name)}: {', '.join(map(_fact, scores))}" for name, scores in by_dataset.items())
    return figure, f"Test accuracy against the number of members, with standard deviations. {facts}."


def point_names(scores: Sequence[Score], others: Sequence[Score]) -> list[str]:
    """Return what to call some points: their methods and labels.

    Args:
        scores: of the points.
        others: scores of networks besides the usual one. Such a point is called by its network, and by its method, too,
            where the network judged several sets with the same labels.
    """
    judged = Counter((score["net"], score["labels"]) for score in scores)
    names = []
    for score in scores:
        other = score in others
        method = [score["method"]] if not other or judged[score["net"], score["labels"]] > 1 else []
        names.append(", ".join([*method, *([score["net"]] if other else []), score["labels"]]))
    return names


def _fact(score: Score) -> str:
    how = f"{score['method']}, {score['labels']} labels, {score['net']}"
    return f"{score['members']:,} members ({how}) {percent(score['mean'])} %"


def _tick_labels(budgets: list[int]) -> list[str]:
    """Return a text per budget, ascending; none for a budget whose text the next larger one's would cover."""
    covered = [next_one < 1.25 * budget for budget, next_one in pairwise(budgets)] + [False]
    texts = [f"{budget / 1000:.3g}k" if budget >= 10_000 else f"{budget:,}" for budget in budgets]
    return ["" if hidden else text for text, hidden in zip(texts, covered, strict=True)]


def _label_left(axis: Axes, labels: list[tuple[float, str]], x: float) -> None:
    """Label the points at `x` on their left, moved apart where the labels would overlap."""
    low, high = axis.get_ylim()
    line = (high - low) * 0.052
    labels = sorted(labels)
    heights = [line * (1 + text.count("\n")) for _, text in labels]
    places = [value for value, _ in labels]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + (heights[i - 1] + heights[i]) / 2)
    excess = max(0.0, places[-1] - max(labels[-1][0], high - line)) if places else 0.0
    for place, (value, text) in zip(places, labels, strict=True):
        axis.annotate(
            text,
            (x, value),
            xytext=(x * 0.72, place - excess),
            textcoords="data",
            ha="right",
            va="center",
            fontsize=8,
            color=INK,
            arrowprops={"arrowstyle": "-", "color": RULE, "lw": 0.8, "shrinkB": 4, "shrinkA": 1},
        )


FIGURE = FigureSpec(
    "accuracy",
    "Accuracy against budget",
    "Bars are standard deviations over networks. The right end of each axis is the whole training set. Filled points "
    "are the data set's default network, open diamonds are other networks.",
    draw,
)
