"""A lock on a run folder: only one run at a time may use the folder."""

import errno
import fcntl
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ddcore.errors import DDCoreError

NAME = ".lock"


def hold(folder: Path) -> IO[str] | None:
    """Return a file that keeps others from a run folder, made if it isn't there, while it is open in this process.

    The same process may hold a folder twice. None where the file system has no locks.

    Raises:
        DDCoreError: another process uses the folder, or the folder cannot be written.
    """
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115  it is open as long as the folder is held
    except OSError as error:
        raise DDCoreError(f"cannot write {path}: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        user = file.read(200).strip()
        file.close()
        if error.errno not in (errno.EAGAIN, errno.EACCES) or user == _user():
            return None
        raise DDCoreError(
            f"{folder} is in use by {user or 'another process'}: wait for its end, or choose another --out"
        ) from None
    file.seek(0)
    file.truncate()
    file.write(_user())
    file.flush()
    return file


def wait_until_free(folder: Path, seconds: float = 30.0) -> None:
    """Wait, so long at most, until no other process uses a run folder; a folder that nobody ever held is free.

    Raises:
        DDCoreError: another process still uses it.
    """
    end = time.monotonic() + seconds
    while (folder / NAME).exists():
        try:
            held = hold(folder)
        except DDCoreError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
        else:
            return None if held is None else held.close()


@contextmanager
def alone(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Let one process at a time into the ``with`` block; the others wait. A process that dies lets the next one in.

    Where the file system has no locks, all are let in.

    Args:
        path: a file of this name lies there as long as the block runs.
        say: called once with the name of the process that is waited for.

    Raises:
        DDCoreError: the file cannot be written.
    """
    said = False
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = open(path, "a+", encoding="utf-8")  # noqa: SIM115  closed below
        except OSError as error:
            raise DDCoreError(f"cannot write {path}: {error.strerror}") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    yield
                    return
                if not said:
                    file.seek(0)
                    say(file.read(200).strip() or "another process")
                    said = True
                time.sleep(0.2)
                continue
            if not (path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())):
                continue  # its owner removed it after it was opened here
            file.truncate(0)
            file.write(_user())
            file.flush()
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _user() -> str:
    return f"process {os.getpid()} on {platform.node()}"
