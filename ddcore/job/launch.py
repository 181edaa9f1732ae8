"""Runs one stage through ``accelerate launch``: its log, its progress bar on the terminal, signals, memory."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddcore.errors import DDCoreError

PATIENCE = 60.0
"""Seconds that a stage has, after it was asked to stop, to write its checkpoint."""

# Python 3.10 can only make a whole session, which Linux may schedule apart from the caller's `nice`.
OWN_GROUP: dict[str, Any] = {"process_group": 0} if sys.version_info >= (3, 11) else {"start_new_session": True}


@dataclass(frozen=True)
class Outcome:
    """How a stage ended.

    Attributes:
        code: its exit status; 0 is success.
        seconds: wall time.
        peak_memory_bytes: the largest that one of its processes grew; at least the size of the process that started
            it, which the system counts along.
        error: its last line of complaint; empty if it succeeded.
    """

    code: int
    seconds: float
    peak_memory_bytes: int
    error: str


def launch_command(script: Path, arguments: Sequence[str], *, gpus: int, threads: int) -> list[str]:
    """Return the ``accelerate launch`` command for a program.

    Args:
        script: the program.
        arguments: its options.
        gpus: how many processes, one on each GPU; 0 for the CPU.
        threads: of each process.
    """
    place = ["--cpu"] if gpus == 0 else ["--multi_gpu", "--main_process_port", "0"] if gpus > 1 else []
    fixed = ["--num_processes", str(max(gpus, 1)), "--num_machines", "1", "--mixed_precision", "no"]
    fixed += ["--dynamo_backend", "no", "--num_cpu_threads_per_process", str(threads)]
    return [sys.executable, "-m", "accelerate.commands.launch", "--quiet", *place, *fixed, str(script), *arguments]


def run_logged(command: Sequence[str], environment: Mapping[str, str], log: Path, screen: int | None) -> Outcome:
    """Run a command until it ends; what it says is appended to a log.

    Args:
        command: program and arguments.
        environment: variables added to this process's own.
        log: the file to append to.
        screen: descriptor of a terminal that shows what the command says on its standard error, such as a progress
            bar; None if nobody looks.

    Raises:
        KeyboardInterrupt: this process was asked to stop; the command was told so and has ended.
        DDCoreError: the log cannot be written.
    """
    started = time.monotonic()
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = open(log, "ab", buffering=0)  # noqa: SIM115  closed below, after the command's last word
    except OSError as error:
        raise DDCoreError(f"cannot write {log}: {error.strerror}") from error
    reader, writer = os.pipe() if screen is None else pty.openpty()
    if screen is not None:
        with contextlib.suppress(OSError):
            size = fcntl.ioctl(screen, termios.TIOCGWINSZ, b"\0" * 8)
            fcntl.ioctl(writer, termios.TIOCSWINSZ, size)
    with file:
        # A group of its own: Ctrl-C reaches this process alone, which then tells the command and all its children.
        process = subprocess.Popen(
            list(command),
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=writer,
            **OWN_GROUP,
        )
        os.close(writer)
        said = Said(file.fileno(), screen)
        try:
            said.relay(reader)
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(KeyboardInterrupt):
                said.relay(reader, PATIENCE)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            os.close(reader)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    code = process.returncode
    complaint = said.complaint(code, log) if code else ""
    return Outcome(code, time.monotonic() - started, usage.ru_maxrss * 1024, complaint)


class Said:
    """What a command says on its standard error, on its way to the log and the screen."""

    def __init__(self, log: int, screen: int | None) -> None:
        self.log, self.screen = log, screen
        self.lines: list[str] = []
        self._rest = b""

    def relay(self, reader: int, patience: float | None = None) -> None:
        """Pass on what comes from a descriptor until its other end is closed, or for `patience` seconds."""
        end = None if patience is None else time.monotonic() + patience
        while True:
            wait = None if end is None else max(0.0, end - time.monotonic())
            if not select.select([reader], [], [], wait)[0]:
                return
            try:
                some = os.read(reader, 65536)
            except OSError:  # a pseudo-terminal's way to say that the other end is closed
                some = b""
            if not some:
                return
            if self.screen is not None:
                os.write(self.screen, some)
            self._keep(some)

    def _keep(self, some: bytes) -> None:
        """Write whole lines to the log; of a bar that was drawn over and over, what was there last."""
        *whole, self._rest = (self._rest + some.replace(b"\r\n", b"\n")).split(b"\n")
        for line in whole:
            text = line.rsplit(b"\r", 1)[-1]
            if text.strip():
                os.write(self.log, text + b"\n")
                self.lines = [*self.lines[-19:], text.decode(errors="replace").strip()]

    def complaint(self, code: int, log: Path) -> str:
        """Return the line that says best why the command failed."""
        told = [line for line in self.lines if line.startswith("error:")]
        if told:
            return told[-1].removeprefix("error:").strip()
        if code < 0:
            return f"killed by {signal.Signals(-code).name}; see {log}"
        last = f": {self.lines[-1]}" if self.lines else ""
        return f"exit status {code}{last}; see {log}"
