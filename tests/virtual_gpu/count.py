"""Writes ``results/launches.csv``: what the second outer step of every case costs on a virtual GPU.

Run as ``python -m tests.virtual_gpu.count`` after a change that lowers a count; a test fails where one has risen.
"""

import csv
import os
import tempfile
from pathlib import Path

import torch

from tests.virtual_gpu.cases import IMAGES, TEXTS, counted_step, image_ground, text_ground
from tests.virtual_gpu.ledger import ROOT
from tests.virtual_gpu.session import virtual_gpu

TABLE = ROOT / "results" / "launches.csv"
COLUMNS = ("launches", "triton", "syncs", "copies")


def read_counts() -> dict[str, dict[str, int]]:
    """Return the committed counts by case."""
    with TABLE.open(newline="") as file:
        rows = {f"{row['method']}, {row['case']}".removesuffix(", "): row for row in csv.DictReader(file)}
    return {name: {column: int(row[column]) for column in COLUMNS} for name, row in rows.items()}


def write_counts(counts: dict[str, dict[str, int]]) -> None:
    """Write counts by case, in the order of their names."""
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["method", "case", *COLUMNS])
        for name, count in sorted(counts.items()):
            method, _, case = name.partition(", ")
            writer.writerow([method, case, *(count[column] for column in COLUMNS)])


def write_texts(path: Path, count: int = 60) -> Path:
    """Write a table of made-up texts in two classes; the first word tells the class."""
    lines = [f'"It was {("bad", "good")[k % 2]}ly made, number {k}.",{("bad", "good")[k % 2]}' for k in range(count)]
    path.write_text("\n".join(["text,label", *lines]) + "\n")
    return path


def main() -> None:
    """Count every case and write the table."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        os.environ["DDCORE_CACHE"] = str(home / "cache")
        with virtual_gpu():
            images, texts = image_ground(home / "images"), text_ground(home / "texts", write_texts(home / "texts.csv"))
        counts = {}
        for case, options in {**IMAGES, **TEXTS}.items():
            with virtual_gpu() as gpu:
                counts[case] = counted_step(gpu, (texts if case in TEXTS else images).loop(case, options))
            print(case, counts[case])
    write_counts(counts)


if __name__ == "__main__":
    main()
