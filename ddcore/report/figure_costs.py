"""What things cost: seconds to train a network, time and memory of every stage."""

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ddcore.report.figure_style import INK, PALETTE, colours, scores_of, usual_scores
from ddcore.report.names import dataset_name, gigabytes, seconds
from ddcore.report.records import Records, Score


def training_figure(records: Records) -> tuple[Figure, str] | None:
    """Seconds to train one network on each set, a panel a data set, beside the time on the whole set."""
    by_dataset = scores_of(records)
    if not by_dataset:
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
        _bars(axis, names, [score["seconds"] for score in scores], notes, [PALETTE[0]] * len(scores))
        axis.set_ylim(most - 0.5, -0.5)
        axis.set_title(dataset_name(dataset))
        axis.set_xlabel("wall seconds to train one network")
        facts.append(f"{dataset_name(dataset)}: " + ", ".join(map(" in ".join, zip(names, notes, strict=True))))
    figure.subplots_adjust(wspace=0.5)
    return figure, f"Time to train one network, by members and labels. {'; '.join(facts)}."


def _faster(spent: float, whole: float) -> str:
    times = whole / spent if spent else 0.0
    return f"{seconds(spent)} ({times:.0f} times faster)" if times >= 1.5 else seconds(spent)


def stages_figure(records: Records) -> tuple[Figure, str] | None:
    """Wall time and peak memory of every stage that ran; on a GPU also its memory and utilisation."""
    stages = [stage for stage in records["stages"] if stage["seconds"] is not None]
    if not stages:
        return None
    shades = colours([stage["dataset"] for stage in stages])
    panels: list[tuple[str, list[float | None], Callable[[float], str]]] = [
        ("wall seconds", [stage["seconds"] for stage in stages], seconds),
        ("peak memory, GB", [_scaled(stage["peak_memory_bytes"], 1e-9) for stage in stages], "{:.2f}".format),
        ("peak GPU memory, GB", [_scaled(stage["peak_gpu_memory_bytes"], 1e-9) for stage in stages], "{:.2f}".format),
        ("GPU utilisation, %", [_scaled(stage["gpu_utilisation"], 100) for stage in stages], "{:.0f}".format),
    ]
    panels = [panel for panel in panels if any(value is not None for value in panel[1])]
    figure = Figure(figsize=(1.5 + 4.1 * len(panels), 0.34 * len(stages) + 1.0))
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    names = [stage["name"] for stage in stages]
    for number, (axis, (unit, values, show)) in enumerate(zip(axes, panels, strict=True)):
        notes = ["" if value is None else show(value) for value in values]
        lengths = [value or 0.0 for value in values]
        _bars(axis, [] if number else names, lengths, notes, [shades[stage["dataset"]] for stage in stages])
        axis.set_xlabel(unit)
    handles = [Patch(color=shade, label=dataset_name(name) or "other") for name, shade in shades.items()]
    if len(handles) > 1:
        axes[0].legend(handles=handles, ncol=len(handles), loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    figure.subplots_adjust(wspace=0.08)
    facts = "; ".join(
        f"{stage['name']}: {seconds(stage['seconds'])}, {gigabytes(stage['peak_memory_bytes'])}" for stage in stages
    )
    return figure, f"Wall time and peak memory of each stage. {facts}."


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _bars(axis: Axes, names: list[str], values: list[float], notes: list[str], shades: list[str]) -> None:
    """Draw horizontal bars, the first on top, each with a note at its end; without `names` the axis is bare."""
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
