"""Which cores a process may compute on, and which of them, where several share a machine without GPUs."""

import os
from pathlib import Path


def bind(number: int, count: int) -> list[int]:
    """Let this process compute on its own part of the cores that it may use, and return them.

    Processes that wait for one another at every step are else moved from core to core, away from what their caches
    hold. Fewer cores than processes, or a system that knows no such thing, are left as they are.

    Args:
        number, count: which of how many processes of this machine it is.
    """
    if not hasattr(os, "sched_getaffinity"):
        return []
    cores = sorted(os.sched_getaffinity(0))
    if count < 2 or len(cores) < count:
        return cores
    own = cores[number * len(cores) // count : (number + 1) * len(cores) // count]
    os.sched_setaffinity(0, own)
    return own


def available_cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Return how many cores this process may use: its affinity, and the container's share where there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        limit, period = quota.read_text().split()
        return max(1, min(cores, round(int(limit) / int(period))))
    except (OSError, ValueError):
        return cores
