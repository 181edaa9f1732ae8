"""The processes of a run end together: the first that fails reports the reason, and the others follow.

They share the store of ``accelerate launch``. A process that fails writes its reason there. A killed process writes
nothing, but the others on its machine see that it is gone. A process that waits inside the communication library
cannot react, so a thread watches the store for it.
"""

import contextlib
import faulthandler
import json
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import torch.distributed
from torch.distributed import DistError, TCPStore

from ddcore.errors import DDCoreError, UsageError
from ddcore.runtime.launcher import PLACE, check_counts
from ddcore.runtime.machine import out_of_memory

GRACE = 10.0
"""Seconds for a process to end by itself after another has ended."""
PATIENCE = 3.0
"""Seconds to look for the reason of a broken connection."""
START = 24 * 3600.0
"""Seconds for the store to be there: `launcher.arrival` ends the wait earlier."""
BEAT = 0.5
KILLED = "it was killed, possibly out of memory"
LOST = "its connection was lost"


@dataclass
class Peers:
    """The processes of a run, as seen by one of them.

    Attributes:
        rank, count: number of this process, and of all processes.
        machine: number of its machine, whose processes see each other end; None if unknown.
        place: address and port of the store.
        round: number of this start; part of every key, so that the keys of different starts do not mix.
    """

    rank: int
    count: int
    machine: str | None
    place: tuple[str, int]
    round: str = "0"
    _over: threading.Event = field(default_factory=threading.Event)

    @staticmethod
    def here() -> "Peers | None":
        """Return the processes that the launcher's environment variables describe; None if this one runs alone."""
        env = os.environ
        if int(env.get("WORLD_SIZE", "1")) < 2 or not set(PLACE) <= set(env):
            return None
        place = env["MASTER_ADDR"], int(env["MASTER_PORT"])
        restart = env.get("TORCHELASTIC_RESTART_COUNT", "0")
        return Peers(int(env["RANK"]), int(env["WORLD_SIZE"]), env.get("GROUP_RANK"), place, restart)

    def watch(self, end: Callable[[str], None]) -> None:
        """Start to watch the others; `end` is called with a line, or an empty one, if this process must be ended."""
        threading.Thread(target=self._watch, args=(end,), daemon=True).start()

    def leave(self) -> None:
        """Record that this process ends normally."""
        self._over.set()
        with contextlib.suppress(DistError):
            self._store().set(self._key("left", self.rank), "")

    def all_at(self, name: str, seconds: float = GRACE) -> bool:
        """Return whether every process calls this with the same name within `seconds`; each calls it once."""
        until = time.monotonic() + seconds
        with contextlib.suppress(DistError):
            store = self._store()
            store.add(self._key("at", name), 1)
            while (arrived := store.add(self._key("at", name), 0)) < self.count and time.monotonic() < until:
                time.sleep(BEAT / 5)
            return arrived == self.count
        return False

    def conclusion(self, error: BaseException) -> BaseException:
        """Return the exception to raise instead of `error`, and inform the other processes.

        The first process that fails reports its number and reason. Processes that fail with it or because of it end
        silently. An interruption or a bug is returned unchanged, unless another process caused it.
        """
        self._over.set()
        try:
            store = self._store()
            if isinstance(error, DDCoreError) or out_of_memory(error):
                line = self._claim(store, self.rank, _described(error))
            elif (cause := self._cause(store, error)) is not None:
                line = self._claim(store, *cause)
            elif isinstance(error, KeyboardInterrupt | SystemExit):
                store.set(self._key("left", self.rank), "")
                return error
            else:
                self._claim(store, self.rank, _described(error))
                return error
        except DistError:  # the store is gone, so there is no process left to inform
            return DDCoreError(f"another process ended: {_described(error)}") if _in_communication(error) else error
        if line is None:
            return SystemExit(error.exit_code if isinstance(error, DDCoreError) else 1)
        return error if isinstance(error, UsageError) else DDCoreError(line)

    def _cause(self, store: TCPStore, error: BaseException) -> tuple[int, str] | None:
        """Return the other process that ended, and the reason, if that explains an error."""
        lost = _in_communication(error)
        until = time.monotonic() + (PATIENCE if lost else BEAT)
        while True:
            if (ended := self._ended(store)) is not None:
                return ended
            if time.monotonic() > until:
                return ((self.rank + 1) % self.count, LOST) if lost else None
            time.sleep(BEAT / 5)

    def _ended(self, store: TCPStore) -> tuple[int, str] | None:
        """Return a process that failed or is gone, and the reason."""
        if store.check([self._key("first")]):
            rank, reason = json.loads(store.get(self._key("first")))
            return rank, reason
        for rank in range(self.count):
            if rank == self.rank or not store.check([self._key("pid", rank)]):
                continue
            machine, pid = json.loads(store.get(self._key("pid", rank)))
            gone = machine == self.machine and self.machine is not None and _gone(pid)
            # Read last, because a process records that it leaves before it is gone.
            if gone and not store.check([self._key("left", rank)]):
                return rank, KILLED
        return None

    def _claim(self, store: TCPStore, rank: int, reason: str) -> str | None:
        """Return the line that reports the process that ended; None if another process has already reported."""
        if store.add(self._key("claims"), 1) > 1:
            return None
        store.set(self._key("first"), json.dumps([rank, reason]))
        return f"process {rank + 1} of {self.count} ended: {reason}"

    def _watch(self, end: Callable[[str], None]) -> None:
        with contextlib.suppress(DistError):
            store = self._store(START)
            store.set(self._key("pid", self.rank), json.dumps([self.machine, os.getpid()]))
            while not self._over.wait(BEAT):
                if (ended := self._ended(store)) is not None:
                    if not self._over.wait(GRACE):
                        end(self._claim(store, *ended) or "")
                    return

    def _store(self, seconds: float | None = None) -> TCPStore:
        """Return a connection to the store; raises a `DistError` if the store does not exist or no longer exists."""
        return TCPStore(*self.place, is_master=False, timeout=timedelta(seconds=seconds or PATIENCE))

    def _key(self, *words: str | int) -> str:
        return "/".join(map(str, ("ddcore", self.round, *words)))


@contextlib.contextmanager
def together(end: Callable[[str], None]) -> Iterator[None]:
    """Run a ``with`` block as one of several processes that end together; does nothing for a single process.

    Args:
        end: called from a thread, with a line or an empty one, if another process has ended and this one hangs; it
            must end the process at once.

    Raises:
        UsageError: a number of processes in the environment is none.
        DDCoreError: names the process that ended first, and its reason; on one process only.
        SystemExit: on the others.
    """
    check_counts()
    peers = Peers.here()
    if peers is None:
        yield
        return
    peers.watch(end)
    try:
        yield
    except BaseException as error:
        # The launcher's signals no longer matter, and a library that hangs at exit must not delay the end.
        for number in (signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
        faulthandler.dump_traceback_later(GRACE, exit=True, file=open(os.devnull, "wb"))  # noqa: SIM115
        conclusion = peers.conclusion(error)
        if conclusion is error:
            raise
        raise conclusion from error
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    peers.leave()


def _gone(pid: int) -> bool:
    import psutil

    try:
        return psutil.Process(pid).status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.Error:
        return True


def _in_communication(error: BaseException) -> bool:
    """Return whether an error was raised in the communication between processes, or reports one of it later."""
    if isinstance(error, DistError) or "NCCL" in str(error):
        return True
    modules = (frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(module.startswith("torch.distributed.") for module in modules)


def _described(error: BaseException) -> str:
    """Return an error in one line."""
    message = " ".join(str(error).split())
    if isinstance(error, DDCoreError):
        return message
    if out_of_memory(error):
        return f"out of memory ({message}); try a smaller budget or network"
    return f"{type(error).__name__}: {message}"
