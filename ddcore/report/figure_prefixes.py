"""Accuracy of the prefixes of an ordered set, beside sets produced at those sizes."""

from matplotlib.figure import Figure

from ddcore.report.figure_style import PALETTE, RULE
from ddcore.report.figures import FigureSpec
from ddcore.report.names import dataset_name
from ddcore.report.records import Records, grouped, scores_on_test
from ddcore.training import Score

MARKS = "Dsv^<>"
# Points of equal size are drawn side by side.
ASIDE = 1.03


def draw(records: Records) -> tuple[Figure, str] | None:
    """Draw a line through the prefixes of each ordered set, one panel per data set; None without two prefixes."""
    scores = scores_on_test(records)
    lines = {name: line for name, line in _lines(scores).items() if len({score["members"] for score in line}) > 1}
    if not lines:
        return None
    datasets = list(dict.fromkeys(line[0]["dataset"] for line in lines.values()))
    figure = Figure(figsize=(8.4, 3.8 * len(datasets)))
    facts = []
    for panel, dataset in zip(figure.subplots(len(datasets), 1, squeeze=False)[:, 0], datasets, strict=True):
        own = {name: line for name, line in lines.items() if line[0]["dataset"] == dataset}
        groups = own | _beside(own, scores)
        for number, (name, group) in enumerate(groups.items()):
            style = "o-" if name in own else MARKS[number % len(MARKS)]
            x, y = [ASIDE**number * s["members"] for s in group], [100 * s["mean"] for s in group]
            spread, colour = [100 * s["std"] for s in group], PALETTE[number % len(PALETTE)]
            panel.errorbar(x, y, spread, fmt=style, color=colour, ms=5, capsize=3, label=name)
            facts += [f"{dataset_name(dataset)}, {name}, {s['members']}: {100 * s['mean']:.2f} %" for s in group]
        sizes = sorted({score["members"] for group in groups.values() for score in group})
        panel.set_xscale("log")
        panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
        panel.minorticks_off()
        panel.set(title=dataset_name(dataset), xlabel="members (log scale)", ylabel="test accuracy, %")
        panel.grid(color=RULE, lw=0.6)
        panel.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.02, 0.5))
    figure.tight_layout()
    return figure, f"Accuracy by prefix. {'; '.join(facts)}."


def _lines(scores: list[Score]) -> dict[str, list[Score]]:
    """Return the scores of each ordered set and network, its full size included, sorted by size."""
    cut = {_key(score) for score in scores if score.get("prefix")}
    return grouped(
        (f"prefixes of {score.get('folder') or score['method']}, {score['net']}", score)
        for score in sorted(scores, key=lambda score: score["members"])
        if _key(score) in cut
    )


def _key(score: Score) -> tuple[str, ...]:
    return score["dataset"], score.get("folder") or score["method"], score["net"], score["labels"]


def _beside(lines: dict[str, list[Score]], scores: list[Score]) -> dict[str, list[Score]]:
    """Return the scores of other sets with the same sizes and networks, by method."""
    members = [score for line in lines.values() for score in line]
    keys, sizes = {_key(score) for score in members}, {score["members"] for score in members}
    datasets, nets = {score["dataset"] for score in members}, {score["net"] for score in members}
    others = (score for score in scores if _key(score) not in keys and not score.get("prefix"))
    fitting = [s for s in others if s["dataset"] in datasets and s["net"] in nets and s["members"] in sizes]
    return grouped((_label(score), score) for score in sorted(fitting, key=lambda score: score["members"]))


def _label(score: Score) -> str:
    source = f"random members of {score['folder']}" if score.get("subset") else f"{score['method']} at that size"
    return f"{source}, {score['net']}"


FIGURE = FigureSpec(
    "prefixes",
    "Prefixes of ordered sets",
    "The line is one set, truncated to its first members; the points are sets produced at that size. Bars are standard "
    "deviations over networks.",
    draw,
    optional=True,
)
