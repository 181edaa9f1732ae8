"""Rows of measurements, and the file that they are collected in."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from ddcore.errors import DDCoreError
from ddcore.runtime import environment, write_atomic


@dataclass(frozen=True)
class Row:
    """One measured quantity.

    Attributes:
        benchmark: the sub-command of ``scripts/benchmark.py``.
        case: what was measured, e.g. ``convnet-32 T=20 N=100``.
        variant: whose code: ``ddcore``, ``ddcore-eager``, ``stored-graph``, ``higher``.
        metric, unit: e.g. ``time`` in ``s``.
        p20, p50, p80: quantiles over the repetitions.
        device, versions, commit: where.
    """

    benchmark: str
    case: str
    variant: str
    metric: str
    unit: str
    p20: float
    p50: float
    p80: float
    device: str
    versions: str
    commit: str


COLUMNS = tuple(field.name for field in fields(Row))


def row(benchmark: str, case: str, variant: str, metric: str, unit: str, values: Sequence[float]) -> Row:
    """Return a row with the quantiles of the values and what this machine is."""
    where = environment()
    device = where["device"] if where["device"] != "cpu" else f"{where['cpu']}, {where['threads']} threads"
    versions = ", ".join(f"{name} {where[name]}" for name in ("torch", "triton"))
    low, middle, high = (float(q) for q in np.quantile(np.asarray(values), (0.2, 0.5, 0.8)))
    commit = where["commit"] + ("-dirty" if where["dirty"] else "")
    return Row(benchmark, case, variant, metric, unit, low, middle, high, device, versions, commit)


def append_rows(path: Path, rows: Sequence[Row]) -> None:
    """Add rows to a CSV file, with its head line if it is new; atomically.

    Raises:
        DDCoreError: the file there has other columns, or cannot be written.
    """
    old = path.read_text() if path.exists() else ""
    if old and old.splitlines()[0] != ",".join(COLUMNS):
        raise DDCoreError(f"{path} is no file of measurements: its columns are not {','.join(COLUMNS)}")
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    if not old:
        writer.writeheader()
    writer.writerows(asdict(one) for one in rows)
    write_atomic(path, (old + text.getvalue()).encode())
