"""A run folder: what was asked for, where it ran, what it measured, and that it is finished.

``config.json`` (enough to repeat the run), ``environment.json``, ``metrics.jsonl`` (append only), ``result.json``,
and ``done``, written last. Every file is written beside its place, synced and renamed.
"""

import json
import os
import platform
import resource
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ddcore.errors import DDCoreError, UsageError

SPARE = 50 * 2**20
"""Bytes of disk that every run needs for records and logs."""

Progress = Callable[[int, int, dict[str, float]], None]


def shifted(progress: Progress | None, done: int, total: int) -> Progress | None:
    """Return a callback for a part of a longer piece of work, of which `done` of `total` steps lie before it."""
    if progress is None:
        return None
    return lambda step, steps, values: progress(done + step, total, values)


def write_atomic(path: Path, content: bytes, older: Path | None = None) -> None:
    """Write a file so that a reader sees the old content or the new one, never a part.

    Args:
        path: of the file.
        content: all of it.
        older: where the old file goes; None if it isn't kept.

    Raises:
        DDCoreError: the folder cannot be written or the disk is full; the old file is still there.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if older is not None and path.exists():
            os.replace(path, older)
        os.replace(beside, path)
    except BaseException as error:
        beside.unlink(missing_ok=True) if beside.parent.is_dir() else None
        if not isinstance(error, OSError):
            raise
        raise DDCoreError(f"cannot write {path}: {error.strerror}; nothing already there was changed") from error


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically."""
    write_atomic(path, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DDCoreError: it is missing or not JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise DDCoreError(f"{path} is missing") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DDCoreError(f"{path} is damaged: it is not JSON ({error})") from error


def save_tensors(
    path: Path, tensors: dict[str, Tensor], notes: dict[str, str] | None = None, older: Path | None = None
) -> None:
    """Write tensors of any shape and dtype, with text notes, as one safetensors file, as `write_atomic` does."""
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomic(path, save(ready, notes), older)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read what `save_tensors` wrote; nothing is unpickled.

    Raises:
        DDCoreError: the file is missing, truncated or in another format.
    """
    if not path.is_file():
        raise DDCoreError(f"{path} is missing")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise DDCoreError(f"{path} is not a readable safetensors file: truncated, or of another format") from error


def environment() -> dict[str, Any]:
    """Return where this process runs: commit, versions, device, processor, threads, processes."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        try:
            answer = subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, timeout=10)
        except OSError:
            return ""
        return answer.stdout.strip() if answer.returncode == 0 else ""

    versions = {name: metadata.version(name) for name in ("torch", "torchvision", "triton", "accelerate", "numpy")}
    cuda = torch.cuda.is_available()
    return {
        "commit": os.environ.get("DDCORE_COMMIT") or git("rev-parse", "HEAD") or "unknown",
        "dirty": bool(git("status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        **versions,
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "cpu": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def processor() -> str:
    """Return the processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def peak_memory() -> dict[str, int | None]:
    """Return the largest memory in bytes that this process has held so far, on the host and on the GPU."""
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    return {"peak_memory_bytes": host, "peak_gpu_memory_bytes": gpu}


@dataclass(frozen=True)
class Interval:
    """When a run writes the state that it can be gone on from.

    Attributes:
        minutes: since the last time, or longer where writing takes more than a fiftieth of them.
        steps: since the last time, whatever it costs; 0 leaves it to the clock.
    """

    minutes: float = 0.5
    steps: int = 0


@dataclass
class Run:
    """One stage's folder.

    Attributes:
        folder: where its files lie.
        main: only the main process writes.
        earlier: seconds that calls before this one spent, up to their last `pause`.
        interval: when a run that can be gone on with writes its state.
        tracker: called with each step and the values that are logged.
    """

    folder: Path
    main: bool = True
    started: float = field(default_factory=time.monotonic)
    earlier: float = 0.0
    interval: Interval = Interval()
    tracker: Callable[[int, dict[str, float]], None] | None = None

    @staticmethod
    def start(
        folder: Path, stage: str, options: dict[str, Any], command: str = "", *, main: bool = True, fresh: bool = False
    ) -> "Run":
        """Open a run folder, or go on with the one that is there.

        Args:
            folder: made if it isn't there.
            stage: the script's name.
            options: everything that decides the result; JSON values.
            command: what a person types to repeat the run.
            main: whether this process writes.
            fresh: put what is there aside, under a numbered name, and start over.

        Raises:
            UsageError: the folder holds a run with other options, or something that is no run.
            DDCoreError: the folder cannot be written.
        """
        config = json.loads(json.dumps({"stage": stage, "options": options}))
        path = folder / "config.json"
        if main and fresh and folder.exists():
            set_aside(folder)
        if path.exists():
            differences = list(_differences(read_json(path), config))
            if differences:
                raise UsageError(
                    f"{folder} holds a run with other options ({'; '.join(differences)}): "
                    "choose another --out, or --fresh to put it aside and start over"
                )
        elif folder.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty and holds no run: choose another --out")
        elif main:
            write_json(path, {**config, "command": command})
        times = folder / "seconds"
        run = Run(folder, main, earlier=float(times.read_text()) if times.exists() else 0.0)
        if main and not run.finished:
            check_space(folder)
            write_json(folder / "environment.json", environment())
        return run

    @property
    def finished(self) -> bool:
        """Whether the stage was completed, now or in an earlier call."""
        return (self.folder / "done").exists()

    def log(self, step: int, **values: float) -> None:
        """Append one line to ``metrics.jsonl``: the step, the seconds since the start, and the values."""
        if not self.main:
            return
        line = json.dumps({"step": step, "seconds": round(time.monotonic() - self.started, 3), **values})
        try:
            with open(self.folder / "metrics.jsonl", "a") as file:
                file.write(line + "\n")
        except OSError as error:
            raise DDCoreError(f"cannot write {self.folder}/metrics.jsonl: {error.strerror}") from error
        if self.tracker is not None:
            self.tracker(step, values)

    def finish(self, result: dict[str, Any]) -> None:
        """Write ``result.json`` (the seconds and the peak memory are added) and, last, ``done``."""
        if not self.main:
            return
        write_json(self.folder / "result.json", {"seconds": round(self.seconds, 2), **peak_memory(), **result})
        write_atomic(self.folder / "done", b"")

    @property
    def seconds(self) -> float:
        """Wall time of the run so far, calls before this one included."""
        return self.earlier + time.monotonic() - self.started

    def pause(self) -> None:
        """Keep the seconds spent so far, with the state from which the run will be continued."""
        if self.main and self.folder.is_dir():
            write_atomic(self.folder / "seconds", f"{self.seconds:.2f}\n".encode())


def set_aside(folder: Path) -> Path:
    """Rename a run folder to the first free ``NAME.old-K`` and return the new name."""
    number = 1
    while (aside := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    folder.rename(aside)
    return aside


def check_space(folder: Path, needed: int = 0, remedy: str = "make room") -> int:
    """Return the free bytes of a folder's disk; refuse to start where fewer than needed, and some more, are free.

    Args:
        folder: that will be written to, whether it is there or not.
        needed: bytes.
        remedy: what helps.

    Raises:
        DDCoreError: the disk is too full.
    """
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    free, needed = shutil.disk_usage(there).free, needed + SPARE
    if free < needed:
        raise DDCoreError(f"needs about {in_words(needed)} of disk, {in_words(free)} are free in {folder}: {remedy}")
    return free


def in_words(size: float) -> str:
    """Return a number of bytes in GB, or MB if it is small."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"


def _differences(old: dict[str, Any], new: dict[str, Any]) -> "list[str]":
    found = [] if old.get("stage") == new["stage"] else [f"stage was {old.get('stage')}, now {new['stage']}"]
    before, now = old.get("options", {}), new["options"]
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            found.append(f"{name} was {before.get(name)}, now {now.get(name)}")
    return found
