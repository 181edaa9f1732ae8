"""The table and the curve of published and repeated figures, read from the records of ``scripts/published.py``."""

from pathlib import Path

from ddcore.errors import DDCoreError, require
from ddcore.report.figures import PUBLISHED, draw_figures
from ddcore.report.literature import PAPERS, published
from ddcore.report.markdown import table
from ddcore.report.names import dataset_name, spread
from ddcore.report.protocol import SHORT
from ddcore.report.tables import Table
from ddcore.runtime import JSONObject, Schema, read_object

RECORD: Schema = {
    "cell": str,
    "dataset": str,
    "ipc": int,
    "method": str,
    "protocol": {"name": str, "net": str, "networks": int, "sets": int},
    "options": {"real_batch": int},
    "steps": int,
    "published_steps": int,
    "real_share": float,
    "sets": int,
    "networks": int,
    "seconds": [float],
    "cpu_seconds": [float],
    "accuracy": {"mean": float, "std": float, "n": int, "values": [float]},
    "published": {"accuracy": float, "kind": str, "source": str, "memory": bool},
    "environment": {"commit?": str, "cpu?": str, "device?": str},
    "command": str,
}


def published_record(record: JSONObject, command: str) -> JSONObject:
    """Return the record of a cell with the published figure that it repeats, in percent, and the command.

    Raises:
        DDCoreError: no figure is on record.
    """
    rows = [
        each
        for each in published(record["dataset"], record["ipc"])
        if each.method == record["method"] and each.ipc == record["ipc"]
    ]
    require(bool(rows), f"no published figure of {record['cell']} is on record", DDCoreError)
    [row] = rows
    figure = {"accuracy": row.accuracy, "kind": row.kind, "source": PAPERS[row.method], "memory": row.memory}
    return {**record, "published": figure, "command": command}


def published_part(folder: Path, draw: bool = True) -> str:
    """Return the table of a folder's records, one row per cell, and the curve of cells of several sizes, drawn there.

    Args:
        folder: of the records.
        draw: whether to write the picture.

    Raises:
        DDCoreError: a record is damaged, or the picture cannot be written.
    """
    records = [dict(read_object(path, RECORD)) for path in sorted(folder.glob("*.json"))]
    records.sort(key=lambda each: (each["dataset"], each["ipc"], each["cell"], each["real_share"]))
    heads = (
        *("data set", "images per class", "method", "protocol", "reached, %", "published, %", "difference"),
        *("steps", "published steps", "real batch", "share of the real images, %", "sets x networks"),
        *("minutes per set", "machine", "commit"),
    )
    shown = table(Table(heads, [_row(each) for each in records], numbers=(1, 4, 5, 6, 7, 8, 9, 10, 11, 12)))
    for picture in draw_figures(PUBLISHED, records, folder if draw else None).values():
        shown += f"\n\n![{picture.alt}](../results/published/{picture.file})\n\n{picture.caption}"
    return shown


def _row(record: JSONObject) -> tuple[str, ...]:
    figure, reached = record["published"], record["accuracy"]
    difference = f"{100 * reached['mean'] - figure['accuracy']:+.1f}".replace("-", "−")
    minutes, where = sum(record["seconds"]) / 60 / record["sets"], record["environment"]
    machine = where.get("device", "cpu")
    return (
        *(dataset_name(record["dataset"]), str(record["ipc"]), record["method"], record["protocol"]["name"]),
        *(spread(reached), f"{figure['accuracy']:.1f}{'*' * figure['memory']}", difference),
        *(f"{record['steps']:,}", f"{record['published_steps']:,}", str(record["options"]["real_batch"])),
        *(f"{100 * record['real_share']:.3g}", f"{record['sets']} x {record['networks']}", f"{minutes:.1f}"),
        where.get("cpu", machine) if machine == "cpu" else machine,
        str(where.get("commit", "unknown"))[:SHORT],
    )
