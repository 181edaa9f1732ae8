"""Outer steps per second of one process, of several that share the work, and of several unconnected ones."""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from ddcore.benchmarks.matching import CLASSES, noise
from ddcore.benchmarks.rows import Benchmark, CaseResult, last_lines, row
from ddcore.errors import require
from ddcore.methods import METHODS
from ddcore.options import changed, option
from ddcore.problem import Problem
from ddcore.runtime import Processes, Run, Session, bind
from ddcore.synthesis import Loop

# Seconds that unconnected processes wait for each other.
PATIENCE = 600.0
LAUNCH = (
    "-m accelerate.commands.launch --multi_gpu --main_process_port 0 --num_machines 1 --mixed_precision no "
    "--dynamo_backend no --num_processes"
)


@dataclass(frozen=True)
class ScalingCase:
    """A method on 28x28 images of ten classes, with its default network.

    Attributes:
        method: its name.
        each: synthetic members per class.
        real: its option ``real_batch``.
        shards: parts of a step, for any number of processes.
    """

    method: str
    each: int
    real: int
    shards: int

    def __str__(self) -> str:
        return f"{self.method} N={CLASSES}x{self.each} real={self.real} shards={self.shards}"


QUICK = ScalingCase("dm", 2, 8, 4)
CASE = ScalingCase("dm", 50, 128, 8)


@dataclass(frozen=True)
class ScalingBenchmark(Benchmark):
    """Outer steps per second of connected and of unconnected processes."""

    processes: int = option(2, "how many", low=1)
    steps: int = option(40, "timed outer steps", low=1)
    rounds: int = option(5, "of all variants, in turn", low=1)

    def results(self, program: Sequence[str], device: torch.device) -> Iterator[CaseResult]:
        """Yield the steps per second of each variant, and the share of time in communication."""
        gpus, count = torch.cuda.device_count() if torch.cuda.is_available() else 0, self.processes
        require(not 0 < gpus < count, f"--processes {count} need a GPU each, and this machine has {gpus}")
        rates: dict[str, list[float]] = {"one": [], f"{count}-connected": [], f"{count}-unconnected": []}
        spent: list[float] = []
        for _ in range(1 if self.quick else self.rounds):
            (one,) = self._started(program, 1)
            (connected,) = self._started(program, 1, connected=count)
            summed = sum(each["rate"][0] for each in self._started(program, count))
            for values, rate in zip(rates.values(), (*one["rate"], *connected["rate"], summed), strict=True):
                values.append(rate)
            spent += connected["communication"]
        case = str(QUICK if self.quick else CASE)
        rows = [row("scaling", case, variant, "rate", "steps/s", values) for variant, values in rates.items()]
        rows.append(row("scaling", case, f"{count}-connected", "communication", "fraction", spent))
        _, ours, theirs = rates.values()
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        yield CaseResult(
            rows,
            f"{case}: {rows[0].p50:.3g} steps per second by one process, {rows[1].p50:.3g} by {count} that share the "
            f"work: {ratio:.2f} x the {rows[2].p50:.3g} of {count} unconnected ones, {rows[3].p50:.1%} of the time in "
            "communication",
        )

    def _started(self, program: Sequence[str], count: int, connected: int = 1) -> list[dict[str, list[float]]]:
        """Return the measurements of `count` children at the same time, each of `connected` processes.

        Each process computes with one thread, on a GPU of its own if there are GPUs.
        """
        launch = [] if connected == 1 else [*LAUNCH.split(), str(connected)]
        options = ["--steps", str(2 if self.quick else self.steps), *(["--quick"] if self.quick else [])]
        place = {"OMP_NUM_THREADS": "1", **({} if torch.cuda.is_available() else {"ACCELERATE_USE_CPU": "true"})}
        with tempfile.TemporaryDirectory() as home:
            commands = [
                [sys.executable, *launch, *program, f"{number}/{count}/{home}", *options] for number in range(count)
            ]
            shown = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
            devices = [{} if connected > 1 else {"CUDA_VISIBLE_DEVICES": shown.split(",")[n]} for n in range(count)]
            return list(map(json.loads, last_lines("a process", commands, [{**place, **each} for each in devices])))

    def work(self, text: str, processes: Processes) -> dict[str, list[float]]:
        """Return the rate of process ``NUMBER/COUNT/FOLDER`` and its share of time in communication."""
        number, count, home = text.split("/", 2)
        meet = processes.wait_for_everyone
        if processes.num_processes == 1:
            meet = partial(gather, Path(home) / "ready", number, int(count))
            if processes.device.type == "cpu":
                bind(int(number), int(count))
        return measure(QUICK if self.quick else CASE, self.steps, Path(home) / f"run-{number}", processes, meet)


def measure(
    case: ScalingCase, steps: int, folder: Path, processes: Processes, meet: Callable[[], None]
) -> dict[str, list[float]]:
    """Return ``rate``, outer steps per second, and ``communication``, the share of time spent in it.

    Args:
        case: what is computed.
        steps: timed steps, after two that are not timed.
        folder: of the run.
        processes: give the device.
        meet: waits for the other processes, before the timed steps.
    """
    method = changed(METHODS[case.method](), {"real_batch": case.real, "shards": case.shards, "steps": steps + 2})
    folder.mkdir(parents=True, exist_ok=True)
    task = noise(4 * CLASSES * max(case.each, case.real))
    session = Session(Run(folder, processes.is_main_process), processes)
    problem = Problem(task, CLASSES * case.each, task.fit, device=processes.device)
    loop = Loop(method.start(problem, session), session)
    for _ in range(2):
        loop.advance()
    meet()
    before, begun = loop.exchange.seconds, time.perf_counter()
    for _ in range(steps):
        loop.advance()
    if processes.device.type == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - begun
    return {"rate": [steps / seconds], "communication": [(loop.exchange.seconds - before) / seconds]}


def gather(folder: Path, name: str, count: int) -> None:
    """Wait until all of several unconnected processes are ready.

    Args:
        folder: in which they report it; created if it does not exist.
        name: of this process.
        count: number of processes.

    Raises:
        TimeoutError: some are not ready after `PATIENCE` seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).touch()
    until = time.monotonic() + PATIENCE
    while len(list(folder.iterdir())) < count:
        if time.monotonic() > until:
            raise TimeoutError(f"{count} processes were expected in {folder}")
        time.sleep(0.01)
