"""Asked to stop: a signal is noted, and answered where the state of the work is whole.

Outside `deferred`, a signal ends the program at once, by `Stopped`. Inside, it is noted: the work asks `asked` after
each step, writes its checkpoint and raises `Stopped` itself. If it does not get there within `PATIENCE` seconds, or on
a second Ctrl-C, `Stopped` is raised wherever the program is; the last checkpoint is then what it goes on from.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE = 15.0
"""Seconds from the signal to the end of waiting for a step."""

REQUEUE, INTERRUPTED = 75, 130
"""Exit codes: "start me again" (``EX_TEMPFAIL``) after SIGTERM or SIGUSR1, and Ctrl-C."""

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class Stopped(KeyboardInterrupt):
    """The program was asked to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = INTERRUPTED if number == signal.SIGINT else REQUEUE


class _Request:
    """The signal that was noted, and how many `deferred` blocks the program is in."""

    number: int | None = None
    depth = 0


def listen() -> None:
    """Answer SIGTERM, SIGUSR1 and SIGINT in this way from now on; only the main thread may call it."""
    _Request.number, _Request.depth = None, 0
    for number in SIGNALS:
        signal.signal(number, _note)
    signal.signal(signal.SIGALRM, _insist)


def asked() -> bool:
    """Return whether a stop was asked for and is still to be answered."""
    return _Request.number is not None


def answer() -> None:
    """Raise `Stopped` if a stop was asked for; the state has been kept."""
    if _Request.number is not None:
        number, _Request.number = _Request.number, None
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise Stopped(number)


@contextmanager
def deferred() -> Iterator[None]:
    """Note signals instead of ending at once; a request that is still open at the end of the block is answered."""
    _Request.depth += 1
    try:
        yield
    finally:
        _Request.depth -= 1
    if _Request.depth == 0:
        answer()


def _note(number: int, frame: Any) -> None:
    again = number == signal.SIGINT and _Request.number == number
    first = _Request.number is None
    _Request.number = number
    if _Request.depth == 0 or again:
        answer()
    if first:
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)


def _insist(number: int, frame: Any) -> None:
    answer()
