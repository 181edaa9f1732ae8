"""Rows of measurements, the file that collects them, what a benchmark gives, and its child processes."""

import csv
import io
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch

from ddcore.errors import DDCoreError, require
from ddcore.options import option
from ddcore.runtime import Processes, environment, precision, write_atomic


@dataclass(frozen=True)
class Row:
    """One measured quantity.

    Attributes:
        benchmark: the sub-command of ``scripts/benchmark.py``.
        case: what was measured, e.g. ``convnet-32 T=20 N=100``.
        variant: the implementation: ``ddcore``, ``eager``, ``stored-graph``, ``higher``, ….
        metric, unit: e.g. ``time`` in ``s``.
        p20, p50, p80: quantiles over the repetitions.
        precision: of convolutions and matrix products, see `ddcore.runtime.precision`.
        device, versions, commit: of the measurement.
    """

    benchmark: str
    case: str
    variant: str
    metric: str
    unit: str
    p20: float
    p50: float
    p80: float
    precision: str
    device: str
    versions: str
    commit: str


COLUMNS = tuple(field.name for field in fields(Row))


@dataclass(frozen=True)
class CaseResult:
    """The measurements of one case.

    Attributes:
        rows: for a table.
        text: for a reader.
    """

    rows: list[Row]
    text: str


@dataclass(frozen=True)
class Benchmark:
    """The options of a benchmark; the base class has those of all."""

    quick: bool = option(False, "a tiny case, to see that it works")

    def results(self, program: Sequence[str], device: torch.device) -> Iterator[CaseResult]:
        """Yield the result of each case.

        Args:
            program: arguments of Python that, followed by a text and options, call `work` with that text in a child
                process and print its result as JSON in the last line.
            device: where to measure.

        Raises:
            DDCoreError: implementations disagree, or a child process failed.
            UsageError: an option does not fit the machine.
        """
        raise TypeError(f"{type(self).__name__} measures nothing")

    def work(self, text: str, processes: Processes) -> dict[str, list[float]]:
        """Return what a child process of the benchmark measures.

        Args:
            text: from `results`.
            processes: give the device and the processes.
        """
        raise TypeError(f"{type(self).__name__} has no child processes")


def row(benchmark: str, case: str, variant: str, metric: str, unit: str, values: Sequence[float]) -> Row:
    """Return a row with the quantiles of the values and a description of this machine."""
    where = environment()
    device = where["device"]
    if device == "cpu":
        # oneDNN's variable shows on one machine what another one would do.
        instructions = os.environ.get("ONEDNN_MAX_CPU_ISA") or torch.backends.cpu.get_cpu_capability()
        device = f"{where['cpu']} {instructions}, {where['threads']} threads"
    versions = ", ".join(f"{name} {where[name]}" for name in ("torch", "triton"))
    low, middle, high = (float(q) for q in np.quantile(np.asarray(values), (0.2, 0.5, 0.8)))
    commit = where["commit"] + ("-dirty" if where["dirty"] else "")
    return Row(benchmark, case, variant, metric, unit, low, middle, high, precision(), device, versions, commit)


def append_rows(path: Path, rows: Sequence[Row]) -> None:
    """Add rows to a CSV file, with a header if it is new; atomically.

    Raises:
        DDCoreError: the file has other columns, or cannot be written.
    """
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    require(
        not old or old.splitlines()[0] == ",".join(COLUMNS),
        f"{path} is not a file of measurements: its columns are not {','.join(COLUMNS)}",
        DDCoreError,
    )
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    if not old:
        writer.writeheader()
    writer.writerows(asdict(one) for one in rows)
    write_atomic(path, (old + text.getvalue()).encode())


def last_lines(title: str, commands: Sequence[Sequence[str]], environments: Sequence[Mapping[str, str]]) -> list[str]:
    """Run commands at the same time and return the last line that each of them prints.

    Args:
        title: the subject of the message if one of them fails.
        commands: program and arguments.
        environments: variables of each, besides those of this process.

    Raises:
        DDCoreError: one of them failed.
    """
    processes = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )
        for command, environment in zip(commands, environments, strict=True)
    ]
    outputs = [process.communicate() for process in processes]
    for process, (_, errors) in zip(processes, outputs, strict=True):
        if process.returncode:
            reason = (errors.strip().splitlines() or ["no reason given"])[-1]
            raise DDCoreError(f"{title} failed (exit {process.returncode}): {reason}")
    return [output.splitlines()[-1] for output, _ in outputs]
