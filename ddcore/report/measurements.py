"""Tables of what `scripts/benchmark.py` measured, for pages."""

import csv
from pathlib import Path

from ddcore.errors import DDCoreError, require
from ddcore.report.markdown import table
from ddcore.report.tables import Table

SHOWN = ("time", "memory", "rate", "convolutions")
# Of a second, of a byte, of a share: the factor and the name of a unit for people.
UNITS = {"s": (1e3, "ms"), "bytes": (2**-20, "MB"), "steps/s": (1.0, "steps/s"), "share": (100.0, "%")}
COLUMNS = {"benchmark", "case", "variant", "metric", "unit", "p50", "precision", "device", "versions", "commit"}


def measurements_part(path: Path, benchmark: str, device: str) -> str:
    """Return the medians of a benchmark on one device, a column for each variant, the last measurement of each.

    Args:
        path: a CSV file of `scripts/benchmark.py`.
        benchmark: its sub-command.
        device: the beginning of the device's name.

    Raises:
        DDCoreError: the file is missing or has other columns, or there is no such row.
    """
    rows = [row for row in measured(path, benchmark) if row["device"].startswith(device) and row["metric"] in SHOWN]
    require(bool(rows), f"{path} has no row of '{benchmark}' on {device}", DDCoreError)
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    cells: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in rows:
        factor, unit = UNITS[row["unit"]]
        place = (row["case"], row["precision"], f"{row['metric']}, {unit}")
        value = float(row["p50"]) * factor
        cells.setdefault(place, {})[row["variant"]] = f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
    head = ("case", "precision", "median of", *variants)
    body = [(*place, *(found.get(variant, "") for variant in variants)) for place, found in cells.items()]
    numbers = tuple(range(3, len(head)))
    return f"{table(Table(head, body, numbers=numbers))}\n\n{origin(rows)}"


def measured(path: Path, benchmark: str) -> list[dict[str, str]]:
    """Return the rows of a benchmark, texts by column.

    Args:
        path: a CSV file of `scripts/benchmark.py`.
        benchmark: its sub-command.

    Raises:
        DDCoreError: the file is missing or has other columns.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = [row for row in reader if row.get("benchmark") == benchmark]
        require(set(reader.fieldnames or ()) >= COLUMNS, f"{path} is not a file of measurements", DDCoreError)
    except OSError as error:
        raise DDCoreError(f"{path} cannot be read ({error.strerror})") from error
    return rows


def origin(rows: list[dict[str, str]]) -> str:
    """Return the devices, versions and commits of rows in one line."""
    places = {f"{row['device']}, {row['versions']}" for row in rows}
    commits = sorted({row["commit"][:7] for row in rows})
    return f"{'; '.join(sorted(places))}; commit {', '.join(commits)}."
