"""Accelerate's trackers: what a run logs, shown by TensorBoard or another program."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

from ddcore.errors import UsageError

TRACKERS = tuple(sorted(map(str, LOGGER_TYPE_TO_CLASS)))


def tracker(name: str, folder: Path) -> Callable[[int, dict[str, float]], None]:
    """Return a function that shows a tracker the values of a step; call it on the main process only.

    Args:
        name: of `TRACKERS`.
        folder: of the run; a tracker that writes files puts them into ``tracker/`` there.

    Raises:
        UsageError: its package is not installed.
    """
    if name not in map(str, get_available_trackers()):
        extra = "'ddcore[tracker]'" if name == "tensorboard" else name
        raise UsageError(f"--tracker {name} needs its package: pip install {extra}")
    kind: Any = LOGGER_TYPE_TO_CLASS[name]
    found = kind("tracker", str(folder)) if kind.requires_logging_directory else kind(folder.name)
    found.start()
    return lambda step, values: found.log(dict(values), step=step)
