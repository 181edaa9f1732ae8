"""How busy the GPUs are while a stage runs, as their driver tells it."""

import statistics
import subprocess
import threading
from collections.abc import Callable
from types import TracebackType

QUERY = ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits")


def utilisation() -> float | None:
    """Return how busy the GPUs are now, a fraction, averaged over them; None if the driver does not tell."""
    try:
        told = subprocess.run(QUERY, capture_output=True, text=True, timeout=10).stdout
        return statistics.fmean(float(line) for line in told.splitlines()) / 100
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


class Watch:
    """Asks now and then inside a ``with`` block; `mean` is the average answer, None if there was none."""

    def __init__(self, ask: Callable[[], float | None] = utilisation, every: float = 2.0) -> None:
        self.ask, self.every = ask, every
        self.seen: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self.every):
            now = self.ask()
            if now is not None:
                self.seen.append(now)

    @property
    def mean(self) -> float | None:
        """The average of all answers, a fraction."""
        return round(statistics.fmean(self.seen), 3) if self.seen else None
