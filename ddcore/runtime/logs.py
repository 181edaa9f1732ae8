"""Log files: one per process of a run."""

import logging
import os
import platform
import sys
import time
from pathlib import Path

import torch

from ddcore.errors import DDCoreError

LOG = logging.getLogger("ddcore")
LOG.addHandler(logging.NullHandler())
LOG.propagate = False
# A line that cannot be written, as on a full disk, is dropped: files that matter raise errors of their own.
logging.raiseExceptions = False


class Shown(logging.Handler):
    """Prints what is worth a person's attention, above any bar."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(f"{record.levelname.lower()}: {record.getMessage()}", file=sys.stderr)


SHOWN = Shown(logging.WARNING)


def show_warnings() -> None:
    """Let `LOG` print warnings and errors, until `log_to` is called."""
    LOG.addHandler(SHOWN)


def log_to(folder: Path, rank: int, count: int, command: str) -> Path:
    """Let `LOG` append to ``logs/rank-K.log`` in a run folder from now on, and return the file.

    Each line begins with the time (UTC) and the rank.

    Args:
        folder: of the run.
        rank, count: number of this process, and of all processes.
        command: for the first line.

    Raises:
        DDCoreError: the file cannot be written.
    """
    path = folder / "logs" / f"rank-{rank}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise DDCoreError(f"cannot write {path}: {error.strerror}") from error
    form = logging.Formatter(f"%(asctime)s rank {rank} %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    form.converter = time.gmtime
    handler.setFormatter(form)
    for earlier in LOG.handlers[:]:
        LOG.removeHandler(earlier)
        earlier.close()
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    where = f"process {rank + 1} of {count}, pid {os.getpid()} on {platform.node()}, {torch.get_num_threads()} threads"
    LOG.info("%s: %s", command, where)
    return path
