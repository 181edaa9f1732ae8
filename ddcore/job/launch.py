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

from ddcore.errors import DDCoreError
from ddcore.runtime import HELD

PATIENCE = 60.0
"""Seconds for a stage to write its checkpoint after it was asked to stop."""


@dataclass(frozen=True)
class Outcome:
    """How a stage ended.

    Attributes:
        code: its exit status; 0 is success.
        seconds: wall time.
        peak_memory_bytes: the largest resident set of one of its processes; at least the size of the process that
            started it, which the system includes.
        error: one line that says why it failed; empty if it succeeded.
    """

    code: int
    seconds: float
    peak_memory_bytes: int
    error: str


def launch_command(script: Path, arguments: Sequence[str], *, gpus: int, threads: int) -> list[str]:
    """Return the ``accelerate launch`` command line of a program; of several processes, through ``launch.py``.

    Args:
        script: the program; ``launch.py`` lies beside it.
        arguments: its options.
        gpus: number of processes, one per GPU; 0 for the CPU.
        threads: per process.
    """
    place = ["--cpu"] if gpus == 0 else ["--multi_gpu", "--main_process_port", "0"] if gpus > 1 else []
    fixed = ["--num_processes", str(max(gpus, 1)), "--num_machines", "1", "--mixed_precision", "no"]
    fixed += ["--dynamo_backend", "no", "--num_cpu_threads_per_process", str(threads)]
    launcher = [str(script.with_name("launch.py"))] if gpus > 1 else ["-m", "accelerate.commands.launch"]
    return [sys.executable, *launcher, "--quiet", *place, *fixed, str(script), *arguments]


def run_logged(command: Sequence[str], environment: Mapping[str, str], log: Path, screen: int | None) -> Outcome:
    """Run a command until it ends and append its output to a log.

    Args:
        command: program and arguments.
        environment: variables added to those of this process.
        log: the file to append to.
        screen: descriptor of a terminal that shows the command's standard error, such as a progress bar, or None.

    Raises:
        KeyboardInterrupt: this process was asked to stop; the command was stopped first.
        DDCoreError: the log cannot be written.
    """
    started = time.monotonic()
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = open(log, "ab", buffering=0)  # noqa: SIM115  closed below, after the command's last output
    except OSError as error:
        raise DDCoreError(f"cannot write {log}: {error.strerror}") from error
    reader, writer = os.pipe() if screen is None else pty.openpty()
    if screen is not None:
        with contextlib.suppress(OSError):
            size = fcntl.ioctl(screen, termios.TIOCGWINSZ, b"\0" * 8)
            fcntl.ioctl(writer, termios.TIOCSWINSZ, size)
    # In its own group: Ctrl-C reaches only this process, which then signals the command and all its children. Its
    # standard input ends when this process does, even killed: then each program of a stage asks itself to stop.
    with (
        file,
        subprocess.Popen(
            list(command),
            env={**os.environ, **environment, HELD: "1"},
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=writer,
            process_group=0,
        ) as process,
    ):
        os.close(writer)
        relay = Relay(file.fileno(), screen)
        try:
            relay.forward(reader)
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(KeyboardInterrupt):
                relay.forward(reader, PATIENCE)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            os.close(reader)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    code = process.returncode
    complaint = relay.complaint(code, log) if code else ""
    return Outcome(code, time.monotonic() - started, usage.ru_maxrss * 1024, complaint)


class Relay:
    """Forwards the standard error of a command to the log and the screen."""

    def __init__(self, log: int, screen: int | None) -> None:
        self.log, self.screen = log, screen
        self.lines: list[str] = []
        self._rest = b""

    def forward(self, reader: int, patience: float | None = None) -> None:
        """Forward what a descriptor delivers until its other end is closed, or for `patience` seconds."""
        end = None if patience is None else time.monotonic() + patience
        while True:
            wait = None if end is None else max(0.0, end - time.monotonic())
            chunk = b""
            if select.select([reader], [], [], wait)[0]:
                with contextlib.suppress(OSError):  # a pseudo-terminal whose other end is closed
                    chunk = os.read(reader, 65536)
            if not chunk:
                return
            if self.screen is not None:
                self._write(self.screen, chunk)
            self._log(chunk)

    def _write(self, target: int, content: bytes) -> None:
        """Write, unless the terminal is gone or the disk is full: that must not end a job of many hours."""
        with contextlib.suppress(OSError):
            os.write(target, content)

    def _log(self, chunk: bytes) -> None:
        """Write complete lines to the log; of a redrawn progress bar only its last state."""
        *whole, self._rest = (self._rest + chunk.replace(b"\r\n", b"\n")).split(b"\n")
        for line in whole:
            text = line.rsplit(b"\r", 1)[-1]
            if text.strip():
                self._write(self.log, text + b"\n")
                self.lines = [*self.lines[-19:], text.decode(errors="replace").strip()]

    def complaint(self, code: int, log: Path) -> str:
        """Return one line that says why the command failed."""
        errors = [line for line in self.lines if line.startswith("error:")]
        if errors:
            return errors[-1].removeprefix("error:").strip()
        if code < 0:
            return f"killed by {signal.Signals(-code).name}; see {log}"
        last = f": {self.lines[-1]}" if self.lines else ""
        return f"exit status {code}{last}; see {log}"
