"""Time and memory of every stage."""

from collections.abc import Callable

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ddcore.report.figure_style import bars, colours
from ddcore.report.figures import FigureSpec
from ddcore.report.names import dataset_name, gigabytes, seconds
from ddcore.report.records import Records
from ddcore.report.tables import unfinished


def draw(records: Records) -> tuple[Figure, str] | None:
    """Draw wall time and peak memory of every stage that ran; on a GPU also its memory and utilisation."""
    if not (stages := [stage for stage in records["stages"] if stage["seconds"] is not None]):
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
    names, colour = [stage["name"] for stage in stages], [shades[stage["dataset"]] for stage in stages]
    for number, (axis, (unit, values, show)) in enumerate(zip(axes, panels, strict=True)):
        notes = ["" if value is None else show(value) for value in values]
        bars(axis, [] if number else names, [value or 0.0 for value in values], notes, colour)
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


FIGURE = FigureSpec(
    "stages",
    "Time and memory of each stage",
    "Wall time includes loading the data. Memory is the largest resident set of the stage's main process.",
    draw,
    table=unfinished,
)
