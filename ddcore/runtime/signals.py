"""Signals that ask a program to stop: recorded when they arrive, answered where the run's state is consistent.

Outside `deferred`, a signal ends the program at once by raising `Stopped`. Inside, it is recorded: the program checks
`asked` after each step, writes its checkpoint and calls `answer`. If that takes more than `PATIENCE` seconds, or on a
second Ctrl-C, `Stopped` is raised wherever the program is, and the run resumes from the last checkpoint. Signals that
follow at once, such as SIGTERM and then SIGINT, are one request.
"""

import os
import signal
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

PATIENCE = 15.0
"""Seconds from the signal until the program no longer waits for the end of a step."""

REQUEUE, INTERRUPTED = 75, 130
"""Exit codes: restart me (``EX_TEMPFAIL``) after SIGTERM or SIGUSR1; interrupted by Ctrl-C."""

BURST = 1.0
"""Seconds after `Stopped` was raised in which more signals belong to the same request."""

HELD = "DDCORE_STDIN_HELD"
"""Variable that is set where the program that started this one holds its standard input open until it ends."""

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class Stopped(KeyboardInterrupt):
    """The program was asked to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = INTERRUPTED if number == signal.SIGINT else REQUEUE


class _Request:
    """The recorded signal, and the number of `deferred` blocks that the program is in."""

    number: int | None = None
    depth = 0
    raised = -BURST
    closed = False


def listen() -> None:
    """Handle SIGTERM, SIGUSR1 and SIGINT this way from now on; call it in the main thread only."""
    _Request.number, _Request.depth, _Request.raised, _Request.closed = None, 0, -BURST, False
    for number in SIGNALS:
        signal.signal(number, _note)
    signal.signal(signal.SIGALRM, lambda number, frame: answer())


def close() -> None:
    """Ignore these signals from now on, because the program ends; programs that it starts do not inherit this."""
    _Request.closed = True


def end_with_parent() -> None:
    """Ask this program to stop once the program that started it is gone, even killed, if that one set `HELD`."""
    if os.environ.get(HELD) and stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def asked() -> bool:
    """Return whether a stop was requested and is not yet answered."""
    return _Request.number is not None


def answer() -> None:
    """Raise `Stopped` if a stop was requested; call it when the state is saved."""
    if _Request.number is not None:
        number, _Request.number = _Request.number, None
        signal.setitimer(signal.ITIMER_REAL, 0)
        _Request.raised = time.monotonic()
        raise Stopped(number)


@contextmanager
def deferred() -> Iterator[None]:
    """Record signals instead of ending at once; a request that is open at the end of the block is answered there."""
    _Request.depth += 1
    try:
        yield
    finally:
        _Request.depth -= 1
    if _Request.depth == 0:
        answer()


def _note(number: int, frame: FrameType | None) -> None:
    if _Request.closed or time.monotonic() - _Request.raised < BURST:
        return
    again = number == signal.SIGINT and _Request.number == number
    first = _Request.number is None
    _Request.number = number
    if _Request.depth == 0 or again:
        answer()
    if first:
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
