"""The table and the picture of how stages grow, from the rows of ``benchmark.py scale``."""

from pathlib import Path

from ddcore.errors import DDCoreError, require
from ddcore.report.figures import SCALE, draw_figures
from ddcore.report.markdown import table
from ddcore.report.measurements import measured, origin
from ddcore.report.tables import Table


def scale_part(path: Path) -> str:
    """Return a table of slopes and of sizes at the base case, a row per stage, and draw the picture beside the file.

    Args:
        path: a CSV file of ``benchmark.py scale``; the picture is ``scale.svg`` in its folder.

    Raises:
        DDCoreError: the file is missing or has other columns or no slopes, or the picture cannot be written.
    """
    rows = measured(path, "scale")
    found = {(row["variant"], row["case"], row["metric"]): float(row["p50"]) for row in rows}
    axes = list(dict.fromkeys(row["case"] for row in rows if row["metric"] == "slope"))
    require(bool(axes), f"{path} has no slopes of 'scale'", DDCoreError)
    stages = dict.fromkeys(row["variant"] for row in rows if row["metric"] == "slope")

    def cell(stage: str, axis: str) -> str:
        slope = found.get((stage, axis, "slope"))
        return "" if slope is None else f"{slope:.2f} (≤ {found[stage, axis, 'expected slope']:g})"

    body = [(stage, *(cell(stage, axis) for axis in axes)) for stage in stages]
    head = ("stage", *(f"slope in {axis}" for axis in axes))
    picture = draw_figures(SCALE, rows, path.parent)["scale"]
    return (
        f"{table(Table(head, body, numbers=tuple(range(1, len(head)))))}\n\n"
        f"![{picture.alt}](../results/scale/{picture.file})\n\n{picture.caption} {origin(rows)}"
    )
