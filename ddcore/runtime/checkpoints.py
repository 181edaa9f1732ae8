"""The states that a run is gone on from: the last two, each written beside its place, synced and renamed."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ddcore.errors import DDCoreError
from ddcore.runtime.files import load_tensors, save_tensors
from ddcore.runtime.logs import LOG
from ddcore.runtime.run_folder import Interval
from ddcore.runtime.state import State

SHARE = 0.02
"""Of the time, what writing may take at most while it is the clock that says when to write."""


@dataclass
class Checkpoints:
    """The file of a run's state, and the one before it.

    Attributes:
        path: of the newer one; the older one lies beside it.
        label: what decides the run; a checkpoint with another one is not gone on from.
        interval: when to write.
        written: how many have been, by this process.
        seconds: what that took.
    """

    path: Path
    label: str
    interval: Interval = Interval()
    written: int = field(default=0, init=False)
    seconds: float = field(default=0.0, init=False)
    _at: float = field(default_factory=lambda: time.monotonic(), init=False)
    _step: int = field(default=0, init=False)
    _last: float = field(default=0.0, init=False)

    @property
    def older(self) -> Path:
        """Where the checkpoint before the last one lies."""
        return self.path.with_name(f"older-{self.path.name}")

    @property
    def exist(self) -> bool:
        """Whether there is something to go on from."""
        return self.path.exists() or self.older.exists()

    def restore(self, put: Callable[[State], None]) -> bool:
        """Put the newest readable state in place and return True; False if there is none.

        Args:
            put: takes a state.

        Raises:
            DDCoreError: a checkpoint belongs to another run, or none of those that are there can be read.
        """
        damaged: DDCoreError | None = None
        for path in (self.path, self.older):
            if path.exists():
                try:
                    state, notes = load_tensors(path)
                except DDCoreError as error:
                    damaged = damaged or error
                    continue
                if notes.get("run") != self.label:
                    raise DDCoreError(f"{path} is the checkpoint of another run: use --fresh to put it aside")
                try:
                    put(state)
                except (KeyError, ValueError, RuntimeError) as error:
                    reason = str(error).splitlines()[0]
                    raise DDCoreError(f"{path} is damaged ({reason}): use --fresh to put it aside") from error
                if damaged is not None:
                    LOG.warning("%s; going on from %s", damaged, path.name)
                return True
        if damaged is not None:
            raise DDCoreError(f"{damaged}: use --fresh to put it aside")
        return False

    def due(self, step: int) -> bool:
        """Return whether it is time to write again, after so many steps."""
        if 0 < self.interval.steps <= step - self._step:
            return True
        return time.monotonic() - self._at >= max(60 * self.interval.minutes, self._last / SHARE)

    def keep(self, step: int, state: State) -> None:
        """Write a state that was reached after so many steps; the one written before becomes the older one.

        Raises:
            DDCoreError: it cannot be written; those that are there are not changed.
        """
        began = time.monotonic()
        save_tensors(self.path, state, {"run": self.label}, older=self.older)
        self._at, self._step = time.monotonic(), step
        self._last = self._at - began
        self.written += 1
        self.seconds += self._last

    def forget(self) -> None:
        """Remove both, and what a killed process left half written."""
        for path in (self.path, self.older, *self.path.parent.glob(f".{self.path.name}.*")):
            path.unlink(missing_ok=True)
