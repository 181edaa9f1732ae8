"""Seconds and memory of stages against the size of the training set, on logarithmic axes."""

from collections.abc import Iterator

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from ddcore.report.figure_style import PALETTE, RULE
from ddcore.report.figures import FigureSpec

METRICS = {"time": ("seconds", 1.0), "anonymous memory": ("anonymous memory, GB", 1e-9)}
MARKS = ("o", "s", "^")
Point = tuple[int, float]
Row = dict[str, str]


def draw(rows: list[Row]) -> tuple[Figure, str]:
    """Draw a column of panels per axis of growth, seconds above memory, a line per stage.

    Args:
        rows: of ``benchmark.py scale``, texts by column.
    """
    axes = list(dict.fromkeys(row["case"] for row in rows if row["metric"] == "slope"))
    stages = list(dict.fromkeys(row["variant"] for row in rows if row["metric"] == "time"))
    styles = {
        stage: (PALETTE[i % len(PALETTE)], MARKS[i // len(PALETTE) % len(MARKS)]) for i, stage in enumerate(stages)
    }
    figure = Figure(figsize=(max(6.0, 3.4 * len(axes)), 6.4))
    panels = figure.subplots(len(METRICS), len(axes), squeeze=False, sharey="row")
    for line, (metric, (label, factor)) in zip(panels, METRICS.items(), strict=True):
        line[0].set_ylabel(label)
        for panel, axis in zip(line, axes, strict=True):
            for stage in stages:
                points = sorted(points_along(rows, axis, stage, metric))
                if len(points) > 1:
                    x, y = zip(*points, strict=True)
                    colour, mark = styles[stage]
                    panel.plot(x, [factor * value for value in y], lw=1.3, ms=4.5, color=colour, marker=mark)
            _style(panel, axis, sorted({x for s in stages for x, _ in points_along(rows, axis, s, metric)}))
    handles = [
        Line2D([], [], label=stage, lw=1.3, ms=4.5, color=colour, marker=mark)
        for stage, (colour, mark) in styles.items()
    ]
    figure.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.02), ncol=6, fontsize=9)
    figure.tight_layout(w_pad=0.6, rect=(0, 0.03, 1, 1))
    facts = "; ".join(
        f"{row['variant']} along {row['case']}: slope {float(row['p50']):.2f}"
        for row in rows
        if row["metric"] == "slope"
    )
    return figure, f"Seconds and memory of each stage on logarithmic axes. {facts}."


def points_along(rows: list[Row], axis: str, stage: str, metric: str) -> Iterator[Point]:
    """Yield (size, value) of the cases of a stage that differ from the base case along an axis only.

    The base case is the one that most axes share: each of its sizes is the most frequent one.
    """
    cases = {row["case"]: dict(word.split("=") for word in row["case"].split()) for row in rows if "=" in row["case"]}
    names = next(iter(cases.values()))
    base = {name: _most([case[name] for case in cases.values()]) for name in names}
    last = {row["case"]: float(row["p50"]) for row in rows if (row["variant"], row["metric"]) == (stage, metric)}
    for text, value in last.items():
        case = cases[text]
        if all(case[name] == base[name] for name in names if name != axis):
            yield int(case[axis]), value


def _most(values: list[str]) -> str:
    return max(values, key=values.count)


def _style(panel: Axes, axis: str, sizes: list[int]) -> None:
    panel.set(xscale="log", yscale="log", xlabel=axis)
    panel.xaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.set_xticks(sizes, [f"{size:,}" for size in sizes], fontsize=8.5)
    panel.grid(color=RULE, lw=0.6)


FIGURE = FigureSpec(
    "scale",
    "How stages grow",
    "Each slope is the steepest one between neighbouring points, of log seconds against log size; in brackets the "
    "largest one that is expected. Start-up counts.",
    draw,
    file="scale.svg",
)
