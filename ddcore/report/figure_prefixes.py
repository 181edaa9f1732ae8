"""Accuracy of the prefixes of an ordered set, beside sets made at those sizes."""

from matplotlib.figure import Figure

from ddcore.report.look import RULE
from ddcore.report.records import Records, Score

LINE, POINTS = "#0072b2", "#d55e00"


def prefixes_figure(records: Records) -> tuple[Figure, str] | None:
    """A line through the prefixes of each data set's ordered set; None where fewer than two were scored."""
    scores = [row["score"] for result in records["results"] for row in result["rows"] if row["score"]]
    scores = [score for score in scores if score["tested_on"] == "test"]
    cut = [score for score in scores if score.get("prefix")]
    datasets = [name for name in dict.fromkeys(score["dataset"] for score in cut)
                if len({score["members"] for score in cut if score["dataset"] == name}) > 1]  # fmt: skip
    if not datasets:
        return None
    figure = Figure(figsize=(5.2 * len(datasets), 3.6))
    facts = []
    for panel, name in zip(figure.subplots(1, len(datasets), squeeze=False)[0], datasets, strict=True):
        line = sorted((s for s in cut if s["dataset"] == name), key=lambda score: score["members"])
        sizes = {score["members"] for score in line}
        beside = [s for s in scores if s["dataset"] == name and not s.get("prefix") and s["members"] in sizes]
        for group, colour, style, label in ((line, LINE, "o-", "prefixes"), (beside, POINTS, "D", "made at that size")):
            if group:
                panel.errorbar(*_bars(group), fmt=style, color=colour, ms=5, capsize=3, label=label)
                facts += [f"{name}, {label}, {s['members']}: {100 * s['mean']:.2f} %" for s in group]
        panel.set_xscale("log")
        panel.set_xticks(sorted(sizes), [str(size) for size in sorted(sizes)])
        panel.minorticks_off()
        panel.set_xlabel("members")
        panel.set_ylabel("test accuracy, %")
        panel.grid(color=RULE, lw=0.6)
        panel.legend(frameon=False)
    figure.tight_layout()
    return figure, f"Accuracy by prefix. {'; '.join(facts)}."


def _bars(scores: list[Score]) -> tuple[list[int], list[float], list[float]]:
    return (
        [score["members"] for score in scores],
        [100 * score["mean"] for score in scores],
        [100 * score["std"] for score in scores],
    )
