"""Style and helpers that all figures share."""

from typing import TYPE_CHECKING

from ddcore.report.records import Records, grouped, scores_on_test
from ddcore.runtime import Json
from ddcore.training import Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, QUIET, RULE = "#1f2933", "#66727f", "#d5dbe1"
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#8a6d00", "#56B4E9", "#882255", "#44AA99")
# Of the page and the site; widths are measured with DejaVu Sans, which is wider than the others.
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
# matplotlib types the keys as literals.
STYLE: Json = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.edgecolor": RULE,
    "axes.labelcolor": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "text.color": INK,
    "legend.frameon": False,
    # Names of classes, sets and stages are no formulas.
    "text.parse_math": False,
    "svg.hashsalt": "ddcore",
    "svg.fonttype": "none",
}


def scores_of(records: Records) -> dict[str, list[Score]]:
    """Return the test scores by data set, without duplicates."""
    tested = scores_on_test(records)
    return grouped((score["dataset"], score) for i, score in enumerate(tested) if score not in tested[:i])


def usual_scores(scores: list[Score]) -> list[Score]:
    """Return the scores of the default network: the one that was trained on the largest set."""
    usual = max(scores, key=lambda score: (score["members"], score["asked"] == "default"))["net"]
    return [score for score in scores if score["net"] == usual]


def colours(names: list[str]) -> dict[str, str]:
    """Return a colour for every name, in the order of first appearance."""
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(dict.fromkeys(names))}


def bars(axis: "Axes", names: list[str], values: list[float], notes: list[str], shades: list[str]) -> None:
    """Draw horizontal bars, the first on top, each with a note at its end; without `names` the axis has no labels."""
    places = range(len(values))
    axis.barh(places, values, color=shades, height=0.62)
    axis.set_yticks(places, names or [""] * len(values))
    axis.tick_params(axis="y", length=0, labelcolor=INK)
    axis.set_ylim(len(values) - 0.4, -0.6)
    most = max([*values, 1e-9])
    for place, value, note in zip(places, values, notes, strict=True):
        axis.text(value + most * 0.012, place, note, va="center", fontsize=9, color=INK)
    axis.set_xlim(
        0, most * max(value / most + 0.03 + 0.021 * len(note) for value, note in zip(values, notes, strict=True))
    )
