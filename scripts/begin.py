"""The first import of every program: its output, and what a signal does while the large libraries are imported.

Output that cannot be written, because its reader is gone or the disk is full, is dropped: the work goes on. Until
`ddcore.runtime.listen` is called, some seconds later, a signal ends the program in one line. What torch compiles goes
into ddcore's cache folder, not into the temporary folder that all users share.
"""

import contextlib
import io
import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from ddcore.runtime import Processes

# As in ddcore.runtime.signals, which is not imported yet.
CODES = {signal.SIGINT: 130, signal.SIGTERM: 75, signal.SIGUSR1: 75}


class Lasting(io.FileIO):
    """A file that drops what cannot be written."""

    def write(self, content: "ReadableBuffer") -> int:
        try:
            return super().write(content)
        except OSError:
            return len(memoryview(content))


def lasting(number: int) -> io.TextIOWrapper:
    """Return a text stream on a descriptor that drops what cannot be written; it has any character, in some form."""
    raw = io.BufferedWriter(Lasting(number, "w", closefd=False))
    usual = sys.__stdout__ or sys.__stderr__
    encoding = usual.encoding if usual is not None else "utf-8"
    return io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace", line_buffering=True)


def open_outputs() -> None:
    """Open what is closed of the first three descriptors on the null device, and let the outputs last."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    if sys.stdout is sys.__stdout__ and sys.stderr is sys.__stderr__:  # nobody has redirected them
        sys.stdout, sys.stderr = lasting(1), lasting(2)


def keep_compiled() -> None:
    """Name the folder of what torch compiles, unless the user has: ``inductor`` in `ddcore.data.task.cache_dir`.

    Torch makes its folder as soon as dynamo is imported. Where there is no home folder, or this one cannot be made or
    written, torch takes a temporary one.
    """
    env = os.environ
    if env.get("TORCHINDUCTOR_CACHE_DIR"):
        return
    with contextlib.suppress(OSError, RuntimeError):  # no right to write; a home folder that is not there or not known
        own = env.get("DDCORE_CACHE")
        user = own or env.get("XDG_CACHE_HOME") or Path.home().resolve(strict=True) / ".cache"
        folder = os.path.abspath(os.path.join(user, "inductor" if own else "ddcore/inductor"))
        os.makedirs(folder, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            env["TORCHINDUCTOR_CACHE_DIR"] = folder


def main_process() -> bool:
    """Return whether this is the only process, or the main one of several, before there is an accelerator."""
    return os.environ.get("WORLD_SIZE", "1") in ("", "0", "1") or os.environ.get("RANK", "0") == "0"


def end(number: int, frame: FrameType | None) -> None:
    """End before anything was begun."""
    if main_process():
        with contextlib.suppress(OSError):
            os.write(2, b"stopped: nothing was begun\n")
    os._exit(CODES[signal.Signals(number)])


def note(line: str) -> None:
    """Show a line beside the output."""
    print(line, file=sys.stderr, flush=True)


def end_now(line: str) -> None:
    """End the process at once, from whatever it hangs in; an empty line is not shown."""
    logging.getLogger("ddcore").info("%s", line or "ended, because another process did")
    if line:
        print(f"error: {line}", file=sys.stderr, flush=True)
    os._exit(1)


def processes(wait: float) -> "Processes":
    """Return the processes that share the work, once all of them are there; `wait` is in minutes."""
    from ddcore.runtime import arrival, open_processes, unseen_gpu

    if main_process() and (line := unseen_gpu()):
        note(f"warning: {line}")
    return open_processes(arrival(wait, note, end_now))


def _is_program() -> bool:
    """Return whether Python runs one of these programs, and not a test that imports it."""
    return os.path.dirname(os.path.abspath(sys.argv[0])) == os.path.dirname(os.path.abspath(__file__))


if _is_program():
    open_outputs()
    keep_compiled()
    for each in CODES:
        if signal.getsignal(each) in (signal.SIG_DFL, signal.default_int_handler):  # nohup's choice stays
            signal.signal(each, end)
