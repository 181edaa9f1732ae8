"""The last two states a run can resume from, each written atomically."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ddcore.errors import DDCoreError, require
from ddcore.runtime.files import load_tensors, save_tensors
from ddcore.runtime.logs import LOG
from ddcore.runtime.run_folder import Interval
from ddcore.runtime.state import State

SHARE = 0.02
"""Largest share of the time spent on writing when checkpoints are due by the clock."""
MARK = "\ninputs: "
"""Parts the label in a checkpoint from its digests."""


@dataclass
class Checkpoints:
    """The last two checkpoints of a run.

    Attributes:
        path: of the newer file; the older file is in the same folder.
        label: identifies the run; a checkpoint with another label is refused.
        interval: when to write.
        inputs: digests of what the run reads; a checkpoint that was made from other inputs is refused.
        written: number of checkpoints that this process wrote.
        seconds: time that this process spent writing.
    """

    path: Path
    label: str
    interval: Interval = Interval()
    inputs: str = ""
    written: int = field(default=0, init=False)
    seconds: float = field(default=0.0, init=False)
    _at: float = field(default_factory=lambda: time.monotonic(), init=False)
    _step: int = field(default=0, init=False)
    _last: float = field(default=0.0, init=False)

    @property
    def there(self) -> bool:
        """Whether there is a state to resume from."""
        return self.path.exists() or self.older.exists()

    @property
    def older(self) -> Path:
        """Path of the checkpoint before the last one."""
        return self.path.with_name(f"older-{self.path.name}")

    def restore(self, put: Callable[[State], None]) -> bool:
        """Restore the newest readable state and return True; return False if there is no checkpoint.

        Args:
            put: applies a state.

        Raises:
            DDCoreError: a checkpoint belongs to another run or was made from other inputs, or no existing checkpoint
                can be read.
        """
        damaged: DDCoreError | None = None
        for path in filter(Path.exists, (self.path, self.older)):
            try:
                state, notes = load_tensors(path)
            except DDCoreError as error:
                damaged = damaged or error
                continue
            label, _, inputs = notes.get("run", "").partition(MARK)
            require(
                label == self.label,
                f"{path} is the checkpoint of another run: use --fresh to put it aside",
                DDCoreError,
            )
            require(
                inputs in ("", self.inputs),  # one of an earlier version has no digests
                f"{path} was made from other members or another teacher: use --fresh to put it aside",
                DDCoreError,
            )
            try:
                put(state)
            except (KeyError, ValueError, RuntimeError) as error:
                reason = str(error).splitlines()[0]
                raise DDCoreError(f"{path} is damaged ({reason}): use --fresh to put it aside") from error
            if damaged is not None:
                LOG.warning("%s; resuming from %s", damaged, path.name)
            return True
        if damaged is not None:
            raise DDCoreError(f"{damaged}: use --fresh to put it aside")
        return False

    def due(self, step: int) -> bool:
        """Return whether a checkpoint is due after `step` steps."""
        waited = time.monotonic() - self._at >= max(60 * self.interval.minutes, self._last / SHARE)
        return waited or 0 < self.interval.steps <= step - self._step

    def keep(self, step: int, state: State) -> None:
        """Write the state after `step` steps; the previous checkpoint becomes the older one.

        Raises:
            DDCoreError: the file cannot be written; the existing ones are unchanged.
        """
        began = time.monotonic()
        # One note, because safetensors writes several in any order, and the same state gives the same bytes.
        save_tensors(self.path, state, {"run": f"{self.label}{MARK}{self.inputs}"}, older=self.older)
        self._at, self._step = time.monotonic(), step
        self._last = self._at - began
        self.written += 1
        self.seconds += self._last

    def forget(self) -> None:
        """Remove both checkpoints, and partial files of killed processes."""
        for path in (self.path, self.older, *self.path.parent.glob(f".{self.path.name}.*")):
            path.unlink(missing_ok=True)
