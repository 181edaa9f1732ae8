"""GPU utilisation while a stage runs, as reported by the driver."""

import statistics
import subprocess
import threading
from collections.abc import Callable
from types import TracebackType

QUERY = ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits")


def utilisation() -> float | None:
    """Return the current utilisation, a fraction averaged over all GPUs; None if the driver reports none."""
    try:
        lines = subprocess.run(QUERY, capture_output=True, text=True, timeout=10).stdout
        return statistics.fmean(float(line) for line in lines.splitlines()) / 100
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


class GPUMonitor:
    """Samples the utilisation inside a ``with`` block."""

    def __init__(self, sample: Callable[[], float | None] = utilisation, every: float = 2.0) -> None:
        self.sample, self.every = sample, every
        self.samples: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "GPUMonitor":
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self.every):
            now = self.sample()
            if now is not None:
                self.samples.append(now)

    @property
    def mean(self) -> float | None:
        """The average of all samples, a fraction; None without any."""
        return round(statistics.fmean(self.samples), 3) if self.samples else None
