"""Outer steps a second by one process, by two that share the work, and by two that know nothing of each other."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator

from ddcore.benchmarks.matching import noise
from ddcore.methods import METHODS
from ddcore.runtime import Run
from ddcore.synthesis import Loop

CLASSES = 10
PATIENCE = 600.0


@dataclass(frozen=True)
class Case:
    """A method on 28x28 images of ten classes, with its default network.

    Attributes:
        method: its name.
        each: synthetic members of a class.
        real: its option ``real_batch``.
        shards: parts of a step, whatever the number of processes.
    """

    method: str
    each: int
    real: int
    shards: int

    def __str__(self) -> str:
        return f"{self.method} N={CLASSES}x{self.each} real={self.real} shards={self.shards}"


def measure(case: Case, steps: int, folder: Path, accelerator: Accelerator, gate: "Gate | None") -> dict[str, float]:
    """Return ``rate``, outer steps a second, and ``communication``, the share of time spent in it.

    Args:
        case: what is done.
        steps: that are timed, after two that are not.
        folder: of the run.
        accelerator: gives the device and the processes.
        gate: where unconnected processes wait for each other before the timed steps; None for no waiting.
    """
    method = METHODS[case.method](real_batch=case.real, shards=case.shards, steps=steps + 2)
    folder.mkdir(parents=True, exist_ok=True)
    task = noise(4 * CLASSES * max(case.each, case.real))
    synthesis = method.start(task, CLASSES * case.each, None, 0, accelerator.device)
    loop = Loop(method, synthesis, Run(folder, accelerator.is_main_process), 0, accelerator, None)
    for _ in range(2):
        loop.advance()
    accelerator.wait_for_everyone()
    if gate is not None:
        gate.wait()
    before, begun = loop.exchange.seconds, time.perf_counter()
    for _ in range(steps):
        loop.advance()
    if accelerator.device.type == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - begun
    return {"rate": steps / seconds, "communication": (loop.exchange.seconds - before) / seconds}


@dataclass(frozen=True)
class Gate:
    """A folder in which processes that know nothing of each other say that they are ready.

    Attributes:
        folder: made if it isn't there.
        name: of this process.
        count: how many there are.
    """

    folder: Path
    name: str
    count: int

    def wait(self) -> None:
        """Wait until all are ready.

        Raises:
            TimeoutError: some are not after `PATIENCE` seconds.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / self.name).touch()
        until = time.monotonic() + PATIENCE
        while len(list(self.folder.iterdir())) < self.count:
            if time.monotonic() > until:
                raise TimeoutError(f"{self.count} processes were to come to {self.folder}")
            time.sleep(0.01)
