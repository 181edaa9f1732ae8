"""The table and the picture of how stages grow, from the rows of ``benchmark.py scale``."""

from pathlib import Path

from ddcore.errors import DDCoreError, require
from ddcore.report.figures import SCALE, draw_figures
from ddcore.report.markdown import table
from ddcore.report.measurements import measured, origin
from ddcore.report.tables import Table


def scale_part(path: Path, draw: bool = True) -> str:
    """Return a table of slopes, a row per stage, and the picture, drawn beside the file.

    A file without slopes gives a table of its cases: seconds and memory of each stage.

    Args:
        path: a CSV file of ``benchmark.py scale``; the picture is ``scale.svg`` in its folder.
        draw: whether to write the picture.

    Raises:
        DDCoreError: the file is missing, has other columns or no rows, or the picture cannot be written.
    """
    rows = measured(path, "scale")
    require(bool(rows), f"{path} has no rows of 'scale'", DDCoreError)
    found = {(row["variant"], row["case"], row["metric"]): float(row["p50"]) for row in rows}
    axes = list(dict.fromkeys(row["case"] for row in rows if row["metric"] == "slope"))
    if not axes:
        return f"{table(_sizes(found))}\n\n{origin(rows)}"
    stages = dict.fromkeys(row["variant"] for row in rows if row["metric"] == "slope")

    def cell(stage: str, axis: str) -> str:
        slope = found.get((stage, axis, "slope"))
        return "" if slope is None else f"{slope:.2f} (≤ {found[stage, axis, 'expected slope']:g})"

    body = [(stage, *(cell(stage, axis) for axis in axes)) for stage in stages]
    head = ("stage", *(f"slope in {axis}" for axis in axes))
    picture = draw_figures(SCALE, rows, path.parent if draw else None)["scale"]
    return (
        f"{table(Table(head, body, numbers=tuple(range(1, len(head)))))}\n\n"
        f"![{picture.alt}](../results/scale/{picture.file})\n\n{picture.caption} {origin(rows)}"
    )


def _sizes(found: dict[tuple[str, str, str], float]) -> Table:
    """Return the seconds and the memory of each stage of each case."""
    head = ("pictures", "stage", "seconds", "anonymous memory, GB", "mapped memory, GB")
    body: list[tuple[str, ...]] = []
    for stage, case in dict.fromkeys((stage, case) for stage, case, _ in found):
        sizes = dict(word.split("=") for word in case.split())
        pictures = f"{int(sizes['members']):,} of {sizes['side']}x{sizes['side']}"
        memory = (f"{found[stage, case, f'{kind} memory'] / 1e9:.2f}" for kind in ("anonymous", "mapped"))
        body.append((pictures, stage, f"{found[stage, case, 'time']:,.0f}", *memory))
    return Table(head, body, numbers=(2, 3, 4))
