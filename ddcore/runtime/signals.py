"""Signals that ask a program to stop: recorded when they arrive, answered where the run's state is consistent.

Outside `deferred`, a signal ends the program at once by raising `Stopped`. Inside, it is recorded: the program checks
`asked` after each step, writes its checkpoint and calls `answer`. If that takes more than `PATIENCE` seconds, or on a
second Ctrl-C, `Stopped` is raised wherever the program is, and the run resumes from the last checkpoint.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

PATIENCE = 15.0
"""Seconds from the signal until the program no longer waits for the end of a step."""

REQUEUE, INTERRUPTED = 75, 130
"""Exit codes: restart me (``EX_TEMPFAIL``) after SIGTERM or SIGUSR1; interrupted by Ctrl-C."""

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


def listen() -> None:
    """Handle SIGTERM, SIGUSR1 and SIGINT this way from now on; call it in the main thread only."""
    _Request.number, _Request.depth = None, 0
    for number in SIGNALS:
        signal.signal(number, _note)
    signal.signal(signal.SIGALRM, lambda number, frame: answer())


def asked() -> bool:
    """Return whether a stop was requested and is not yet answered."""
    return _Request.number is not None


def answer() -> None:
    """Raise `Stopped` if a stop was requested; call it when the state is saved."""
    if _Request.number is not None:
        number, _Request.number = _Request.number, None
        signal.setitimer(signal.ITIMER_REAL, 0)
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
    again = number == signal.SIGINT and _Request.number == number
    first = _Request.number is None
    _Request.number = number
    if _Request.depth == 0 or again:
        answer()
    if first:
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
