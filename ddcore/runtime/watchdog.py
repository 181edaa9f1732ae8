"""Several processes of one run end together: the first that fails says why, and the others follow it.

What they have in common is the store that ``accelerate launch`` keeps for them. A process that fails leaves its reason
there; one that is killed leaves nothing, and those beside it see that it is gone. A process that waits for another
inside the communication library cannot be spoken to, so a thread of its own watches for it.
"""

import contextlib
import faulthandler
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psutil
import torch
from torch.distributed import DistError, TCPStore

from ddcore.errors import DDCoreError, UsageError

GRACE = 10.0
"""Seconds that a process has to end by itself after another has ended."""
PATIENCE = 3.0
"""Seconds in which the reason of a broken connection is looked for."""
BEAT = 0.5
KILLED = "it was killed, perhaps for want of memory"
LOST = "its connection was lost"
OURS = (DDCoreError, MemoryError, torch.OutOfMemoryError)


@dataclass
class Peers:
    """The processes of a run as one of them sees them.

    Attributes:
        rank, count: which of how many this is.
        machine: number of its machine; processes see those of their own end; None where they cannot.
        place: address and port of the store.
        round: keys of one start of the processes are apart from those of another.
    """

    rank: int
    count: int
    machine: str | None
    place: tuple[str, int]
    round: str = "0"
    _over: threading.Event = field(default_factory=threading.Event)

    @staticmethod
    def here() -> "Peers | None":
        """Return what the launcher told this process, or None if it runs alone."""
        told = os.environ
        if int(told.get("WORLD_SIZE", "1")) < 2 or not {"RANK", "MASTER_ADDR", "MASTER_PORT"} <= set(told):
            return None
        place = told["MASTER_ADDR"], int(told["MASTER_PORT"])
        restart = told.get("TORCHELASTIC_RESTART_COUNT", "0")
        return Peers(int(told["RANK"]), int(told["WORLD_SIZE"]), told.get("GROUP_RANK"), place, restart)

    def watch(self, end: Callable[[str], None]) -> None:
        """Start to watch the others; `end` is called with a line, or with none, if this process has to be ended."""
        threading.Thread(target=self._watch, args=(end,), daemon=True).start()

    def leave(self) -> None:
        """Tell the others that this process ends as it should."""
        self._over.set()
        with contextlib.suppress(DistError):
            self._store().set(self._key("left", self.rank), "")

    def all_at(self, name: str, seconds: float = GRACE) -> bool:
        """Return whether every process comes to the place of this name within so many seconds; each comes once."""
        until = time.monotonic() + seconds
        with contextlib.suppress(DistError):
            store = self._store()
            store.add(self._key("at", name), 1)
            while (come := store.add(self._key("at", name), 0)) < self.count and time.monotonic() < until:
                time.sleep(BEAT / 5)
            return come == self.count
        return False

    def conclusion(self, error: BaseException) -> BaseException:
        """Return what to raise in place of an error, and tell the others.

        The first process that fails says so with its number. Those that fail with it, or because of it, end silently.
        An interruption and a bug stay what they are, unless another process is behind them.
        """
        self._over.set()
        try:
            store = self._store()
            if isinstance(error, OURS):
                line = self._claim(store, self.rank, _words(error))
            elif (found := self._behind(store, error)) is not None:
                line = self._claim(store, *found)
            elif isinstance(error, KeyboardInterrupt | SystemExit):
                store.set(self._key("left", self.rank), "")
                return error
            else:
                self._claim(store, self.rank, _words(error))
                return error
        except DistError:  # there is no store any more, so that nobody is left to be told
            return DDCoreError(f"another process ended: {_words(error)}") if _in_communication(error) else error
        if line is None:
            return SystemExit(error.exit_code if isinstance(error, DDCoreError) else 1)
        return error if isinstance(error, UsageError) else DDCoreError(line)

    def _behind(self, store: TCPStore, error: BaseException) -> tuple[int, str] | None:
        """Return which other process ended, and why, if that explains an error."""
        lost = _in_communication(error)
        until = time.monotonic() + (PATIENCE if lost else BEAT)
        while True:
            if (found := self._ended(store)) is not None:
                return found
            if time.monotonic() > until:
                return ((self.rank + 1) % self.count, LOST) if lost else None
            time.sleep(BEAT / 5)

    def _ended(self, store: TCPStore) -> tuple[int, str] | None:
        """Return which process failed or is gone, and why."""
        if store.check([self._key("first")]):
            rank, reason = json.loads(store.get(self._key("first")))
            return rank, reason
        for rank in range(self.count):
            if rank == self.rank or not store.check([self._key("pid", rank)]):
                continue
            machine, pid = json.loads(store.get(self._key("pid", rank)))
            gone = machine == self.machine and self.machine is not None and _gone(pid)
            # Looked up last: a process says that it leaves before it is gone.
            if gone and not store.check([self._key("left", rank)]):
                return rank, KILLED
        return None

    def _claim(self, store: TCPStore, rank: int, reason: str) -> str | None:
        """Return the line that says which process ended, if this is the first to say so."""
        if store.add(self._key("claims"), 1) > 1:
            return None
        store.set(self._key("first"), json.dumps([rank, reason]))
        return f"process {rank + 1} of {self.count} ended: {reason}"

    def _watch(self, end: Callable[[str], None]) -> None:
        with contextlib.suppress(DistError):
            store = self._store(300.0)
            store.set(self._key("pid", self.rank), json.dumps([self.machine, os.getpid()]))
            while not self._over.wait(BEAT):
                if (found := self._ended(store)) is not None:
                    if not self._over.wait(GRACE):
                        end(self._claim(store, *found) or "")
                    return

    def _store(self, seconds: float | None = None) -> TCPStore:
        """Connect to the store; raises a `DistError` where there is none, or none any more."""
        return TCPStore(*self.place, is_master=False, timeout=timedelta(seconds=seconds or PATIENCE))

    def _key(self, *words: Any) -> str:
        return "/".join(map(str, ("ddcore", self.round, *words)))


@contextlib.contextmanager
def together(end: Callable[[str], None]) -> Iterator[None]:
    """Do what is in the ``with`` block as one of several processes, which end together; alone, nothing is changed.

    Args:
        end: called, from a thread, with a line or nothing, if another process has ended and this one hangs: it is to
            end the process at once.

    Raises:
        DDCoreError: the line that names the process that ended first, and its reason; on one process only.
        SystemExit: on the others.
    """
    peers = Peers.here()
    if peers is None:
        yield
        return
    peers.watch(end)
    try:
        yield
    except BaseException as error:
        # The launcher's signal adds nothing now, and a library that hangs on its way out must not hold up the end.
        for number in (signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
        faulthandler.dump_traceback_later(GRACE, exit=True, file=open(os.devnull, "w"))  # noqa: SIM115
        concluded = peers.conclusion(error)
        if concluded is error:
            raise
        raise concluded from error
    peers.leave()


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.Error:
        return True


def _in_communication(error: BaseException) -> bool:
    """Return whether an error comes out of the communication between processes."""
    frames = error.__traceback__
    while frames is not None:
        if frames.tb_frame.f_globals.get("__name__", "").startswith("torch.distributed."):
            return True
        frames = frames.tb_next
    return False


def _words(error: BaseException) -> str:
    """Return an error in one line."""
    told = " ".join(str(error).split())
    if isinstance(error, DDCoreError):
        return told
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return f"out of memory ({told}); try a smaller budget or network"
    return f"{type(error).__name__}: {told}"
