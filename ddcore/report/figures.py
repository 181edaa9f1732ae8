"""All figures of a report, as SVG files that are the same for the same records."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from ddcore.report.figure_accuracy import accuracy_figure
from ddcore.report.figure_confusion import confusion_figure
from ddcore.report.figure_costs import stages_figure, training_figure
from ddcore.report.figure_curves import curves_figure
from ddcore.report.figure_prefixes import prefixes_figure
from ddcore.report.figure_style import STYLE
from ddcore.report.figure_windows import windows_figure
from ddcore.report.records import Records
from ddcore.runtime import write_atomic


@dataclass(frozen=True)
class Drawn:
    """A figure's file, as seen from the report, and what it shows for those who can't see it."""

    file: str
    alt: str


def draw_figures(records: Records, folder: Path) -> dict[str, Drawn]:
    """Draw every figure that the records have something for: section name to figure."""
    drawn: dict[str, Drawn] = {}
    draw: dict[str, Callable[[Records], tuple[Figure, str] | None]] = {
        "accuracy": accuracy_figure,
        "training": training_figure,
        "stages": stages_figure,
        "curves": curves_figure,
        "confusion": confusion_figure,
        "prefixes": prefixes_figure,
        "windows": windows_figure,
    }
    with matplotlib.rc_context(STYLE):
        for name, make in draw.items():
            made = make(records)
            if made is None:
                continue
            drawn[name] = saved(*made, folder, f"figures/{name}.svg")
    return drawn


def saved(figure: Figure, alt: str, folder: Path, file: str) -> Drawn:
    """Write a figure that was made under `STYLE` into a report's folder."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", pad_inches=0.08, metadata={"Date": None})
    write_atomic(folder / file, buffer.getvalue())
    return Drawn(file, alt)
