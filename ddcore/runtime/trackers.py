"""Accelerate's trackers: the logged values of a run in TensorBoard or another program."""

from collections.abc import Callable
from pathlib import Path

from ddcore.errors import UsageError

# Accelerate's, written here so that a help text does not import it; a test compares them.
TRACKERS = ("aim", "clearml", "comet_ml", "dvclive", "mlflow", "swanlab", "tensorboard", "trackio", "wandb")


def tracker(name: str, folder: Path) -> Callable[[int, dict[str, float]], None]:
    """Return a function that passes the values of a step to a tracker; call it on the main process only.

    Args:
        name: of `TRACKERS`.
        folder: of the run; a tracker that writes files writes them into ``tracker/`` in it.

    Raises:
        UsageError: the tracker's package is not installed.
    """
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

    if name not in map(str, get_available_trackers()):
        extra = "'ddcore[tracker]'" if name == "tensorboard" else name
        raise UsageError(f"--tracker {name} needs its package: pip install {extra}")
    kind = LOGGER_TYPE_TO_CLASS[name]
    shown = kind("tracker", str(folder)) if kind.requires_logging_directory else kind(folder.name)
    shown.start()
    return lambda step, values: shown.log(dict(values), step=step)
