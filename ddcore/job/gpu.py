"""GPU utilisation while a stage runs, as reported by the driver."""

import statistics
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

QUERY = ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits")


def utilisation() -> float | None:
    """Return the current utilisation, a fraction averaged over all GPUs; None if the driver reports none."""
    try:
        lines = subprocess.run(QUERY, capture_output=True, text=True, timeout=10).stdout
        return statistics.fmean(float(line) for line in lines.splitlines()) / 100
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


@contextmanager
def monitored(sample: Callable[[], float | None] = utilisation, every: float = 2.0) -> Iterator[list[float]]:
    """Sample the utilisation inside a ``with`` block, every so many seconds; yield the growing list of samples."""
    samples: list[float] = []
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(every):
            samples.extend(value for value in [sample()] if value is not None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()
