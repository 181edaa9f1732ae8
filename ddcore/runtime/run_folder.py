"""A run folder: what was asked for, where it ran, what it measured, and that it is finished.

``config.json`` (enough to repeat the run), ``environment.json``, ``metrics.jsonl`` (append only), ``result.json``,
and ``done``, written last. Every file is written beside its place, synced and renamed.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ddcore.errors import DDCoreError, UsageError, require
from ddcore.runtime.files import JSONObject, check_links, check_space, read_json, write_atomic, write_json
from ddcore.runtime.lock import NAME, hold
from ddcore.runtime.logs import LOG
from ddcore.runtime.machine import commit, environment, peak_memory
from ddcore.runtime.older import FORMAT, current, with_added
from ddcore.runtime.schema import Schema, read_object

CONFIG: Schema = {"format?": int, "stage?": str, "options?": dict, "inputs?": {"*": str}, "command?": str}
ENVIRONMENT: Schema = {"commit?": str, "earlier_commits?": [str]}
RESULT: Schema = {
    "seconds?": (float, None),
    "peak_memory_bytes?": (int, None),
    "peak_gpu_memory_bytes?": (int, None),
    "gpu_utilisation?": (float, None),
}
"""The shapes of ``config.json``, ``environment.json`` and ``result.json``: what every run has."""

BEGUN = ("config.json", "environment.json")
"""Files that a run writes before it has made anything; so it does its log, and the files of a tracker."""


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
        lock: open while this run uses the folder.
    """

    folder: Path
    main: bool = True
    started: float = field(default_factory=time.monotonic)
    earlier: float = 0.0
    interval: Interval = Interval()
    tracker: Callable[[int, dict[str, float]], None] | None = None
    lock: IO[str] | None = None

    @staticmethod
    def start(
        folder: Path,
        stage: str,
        options: JSONObject,
        command: str = "",
        inputs: dict[str, str] | None = None,
        *,
        main: bool = True,
    ) -> "Run":
        """Open a run folder, or go on with the one that is there.

        A folder in which nothing was made yet, because the command was refused at its start, is taken over. If another
        commit of ddcore began the run, the run is continued and a warning is logged.

        Args:
            folder: made if it isn't there.
            stage: the script's name.
            options: everything that decides the result; JSON values.
            command: what a person types to repeat the run.
            inputs: digests, by name, of what the run reads; a run on record without one of them is not compared by it.
            main: whether this process writes.

        Raises:
            UsageError: the folder holds a run with other options or inputs, something that is no run, or a link out of
                it.
            DDCoreError: the folder cannot be read or written, or another process uses it.
        """
        asked = {"format": FORMAT, "stage": stage, "options": options, "inputs": inputs or {}}
        config = json.loads(json.dumps(asked))
        path = folder / "config.json"
        require(folder.is_dir() or not folder.exists(), f"--out {folder} is a file: choose another --out")
        begun = path.exists() and (made(folder) or not main)
        if begun and (fault := _difference(current(read_object(path, CONFIG)), config)):
            raise UsageError(
                f"{folder} holds a run with other {fault}: "
                "choose another --out, or --fresh to put it aside and start over"
            )
        full = not path.exists() and folder.exists() and any(folder.iterdir())
        require(not full, f"{folder} is not empty and holds no run: choose another --out")
        if main and not begun:
            write_json(path, {**config, "command": command})
        check_links(folder)
        commits = other_commits(folder) if begun else []
        if main and commits:
            before = ", ".join(each[:7] for each in commits)
            LOG.warning("%s was begun by ddcore at commit %s; this is commit %s", folder, before, commit()[:7])
        run = Run(folder, main, earlier=_seconds(folder / "seconds"))
        if main and not run.finished:
            run.lock = hold(folder)
            check_space(folder)
            write_json(folder / "environment.json", environment() | {"earlier_commits": commits})
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
            with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise DDCoreError(f"cannot write {self.folder}/metrics.jsonl: {error.strerror}") from error
        if self.tracker is not None:
            self.tracker(step, values)

    def finish(self, result: JSONObject) -> None:
        """Write ``result.json`` (the seconds and the peak memory are added) and, last, ``done``."""
        if self.main:
            write_json(self.folder / "result.json", {"seconds": round(self.seconds, 2), **peak_memory(), **result})
            write_atomic(self.folder / "done", b"")
            if self.lock is not None:
                (self.folder / NAME).unlink(missing_ok=True)
                self.lock = None

    @property
    def seconds(self) -> float:
        """Wall time of the run so far, calls before this one included."""
        return self.earlier + time.monotonic() - self.started

    def pause(self) -> None:
        """Keep the seconds spent so far, with the state from which the run will be continued."""
        if self.main and self.folder.is_dir():
            write_atomic(self.folder / "seconds", f"{self.seconds:.2f}\n".encode())


def _seconds(path: Path) -> float:
    """Return the seconds that `Run.pause` wrote; 0 without the file."""
    if not path.exists():
        return 0.0
    seconds = read_json(path)
    require(type(seconds) in (int, float), f"{path} is damaged: it holds no number of seconds; delete it", DDCoreError)
    return float(seconds)


def seed_folders(folder: Path) -> list[Path]:
    """Return the run folders of a stage with several seeds: seed-0, seed-1 …, none that was put aside."""
    return sorted(each for each in folder.glob("seed-*") if each.name.removeprefix("seed-").isdecimal())


def made(folder: Path) -> bool:
    """Return whether a run has made anything in its folder: more than what it writes at its start."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    return any(
        not (file.name in BEGUN or file.name.startswith(".") or {"logs", "tracker"} & set(file.parts[:-1]))
        for file in files
    )


def changed_inputs(config: JSONObject, inputs: dict[str, str]) -> list[str]:
    """Return the inputs of a run that have changed since, each as its name and its path.

    Args:
        config: of the run's ``config.json``.
        inputs: their digests by name, as they are now.
    """
    before, options = config.get("inputs", {}), config.get("options", {})
    names = [name for name in inputs if name in before and before[name] != inputs[name]]
    places = dict.fromkeys(("data", "test", "vocabulary"), options.get("dataset", "")) | options
    return [f"{name} {places.get(name, '')}".strip() for name in names]


def other_commits(folder: Path) -> list[str]:
    """Return the commits of ddcore, other than this one, that worked on a run, by its ``environment.json``."""
    path = folder / "environment.json"
    before: JSONObject = read_object(path, ENVIRONMENT, "delete it") if path.exists() else {}
    known = dict.fromkeys([*before.get("earlier_commits", []), before.get("commit", "unknown")])
    now = {"unknown", commit()}
    return [each for each in known if each not in now]


def _difference(old: JSONObject, new: JSONObject) -> str:
    """Return in words how a run's configuration differs from another one; empty if it does not."""
    before, now = ({"stage": each.get("stage"), **each.get("options", {})} for each in (old, new))
    before = with_added(before, now)
    names = ["stage", *sorted({*before, *now} - {"stage"})]
    different = [name for name in names if before.get(name) != now.get(name)]
    changed = changed_inputs(old, new["inputs"])
    if changed and different in ([], ["content"]):  # the content of custom data is an option, too
        return f"inputs (changed since: {', '.join(changed)})"
    lines = [f"{name} was {before.get(name)}, now {now.get(name)}" for name in different]
    return f"options ({'; '.join(lines)})" if lines else ""
