"""The callback that tells how far a piece of work is."""

from collections.abc import Callable

Progress = Callable[[int, int, dict[str, float]], None]


def shifted(progress: Progress | None, done: int, total: int) -> Progress | None:
    """Return a callback for a part of a longer piece of work, of which `done` of `total` steps lie before it."""
    if progress is None:
        return None
    return lambda step, steps, values: progress(done + step, total, values)
