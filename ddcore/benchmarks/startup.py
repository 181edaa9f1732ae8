"""The CPU time that a program takes before it does anything: ``import ddcore`` and ``--help``."""

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ddcore.benchmarks.rows import Benchmark, CaseResult, row
from ddcore.errors import DDCoreError, require
from ddcore.options import option

REPO = Path(__file__).parents[2]
UNIT = "import torch"


def cpu_seconds(arguments: Sequence[str]) -> float:
    """Return the user and system time of one run of Python, in seconds.

    Args:
        arguments: of Python; the run imports this copy of ddcore.

    Raises:
        DDCoreError: the run failed.
    """
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPO), os.environ.get("PYTHONPATH", "")])},
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    require(not process.returncode, f"python {' '.join(arguments)} failed (exit {process.returncode})", DDCoreError)
    return usage.ru_utime + usage.ru_stime


@dataclass(frozen=True)
class StartupBenchmark(Benchmark):
    """CPU time of ``import ddcore`` and of each program's ``--help``, beside ``import torch``."""

    repeats: int = option(5, "repetitions of all runs, in turn", low=1)

    def results(self, program: Sequence[str], device: torch.device) -> Iterator[CaseResult]:
        """Yield the CPU time of each run, as a multiple of ``import torch`` in the text."""
        programs = [
            path
            for path in sorted(Path(program[0]).parent.glob("*.py"))
            if "__main__" in path.read_text(encoding="utf-8")
        ]
        runs = {name: ["-c", name] for name in (UNIT, "import ddcore")}
        runs |= {f"{path.name} --help": [str(path), "--help"] for path in programs}
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(1 if self.quick else self.repeats):
            for name, arguments in runs.items():
                seconds[name].append(cpu_seconds(arguments))
        unit = statistics.median(seconds[UNIT])
        for name, values in seconds.items():
            middle = statistics.median(values)
            yield CaseResult(
                [row("startup", name, "ddcore", "cpu time", "s", values)],
                f"{name}: {middle:.2f} s of CPU time, {middle / unit:.2f} x {UNIT}",
            )
