"""Seconds to train a network on each set."""

from matplotlib.figure import Figure

from ddcore.report.figure_style import PALETTE, bars, scores_of, usual_scores
from ddcore.report.figures import FigureSpec
from ddcore.report.names import dataset_name, seconds
from ddcore.report.records import Records
from ddcore.training import Score


def draw(records: Records) -> tuple[Figure, str] | None:
    """Draw the seconds to train one network on each set, one panel per data set."""
    if not (by_dataset := scores_of(records)):
        return None
    chosen: dict[str, list[Score]] = {}
    for dataset, scores in by_dataset.items():
        first: dict[tuple[int, str], Score] = {}
        for score in sorted(usual_scores(scores), key=lambda score: (-score["members"], score["method"] == "random")):
            first.setdefault((score["members"], score["labels"]), score)
        chosen[dataset] = list(first.values())
    most = max(map(len, chosen.values()))
    figure = Figure(figsize=(5.8 * len(chosen), 0.42 * most + 1.0))
    facts = []
    for axis, (dataset, scores) in zip(figure.subplots(1, len(chosen), squeeze=False)[0], chosen.items(), strict=True):
        whole = scores[0]["seconds"]
        names = [f"{score['members']:,}, {score['labels']} labels" for score in scores]
        notes = [_faster(score["seconds"], whole) for score in scores]
        bars(axis, names, [score["seconds"] for score in scores], notes, [PALETTE[0]] * len(scores))
        axis.set(ylim=(most - 0.5, -0.5), title=dataset_name(dataset), xlabel="wall seconds to train one network")
        facts.append(f"{dataset_name(dataset)}: " + ", ".join(map(" in ".join, zip(names, notes, strict=True))))
    figure.subplots_adjust(wspace=0.5)
    return figure, f"Time to train one network, by members and labels. {'; '.join(facts)}."


def _faster(spent: float, whole: float) -> str:
    times = whole / spent if spent else 0.0
    return f"{seconds(spent)} ({times:.0f} times faster)" if times >= 1.5 else seconds(spent)


FIGURE = FigureSpec(
    "training",
    "Time to train on each set",
    "Wall time to train one default network with the recipe of the set.",
    draw,
)
