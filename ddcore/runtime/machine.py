"""The machine that a process runs on: memory, time, cores, versions."""

import contextlib
import ctypes
import gc
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import torch

# glibc's names of two limits, and what they are set to.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT, LARGE = 2**30, 2**28
CGROUP, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class Peak:
    """The most memory in bytes that was held above the level before, known when the ``with`` block ends."""

    bytes: int = 0


@contextlib.contextmanager
def peak(device: torch.device) -> Iterator[Peak]:
    """Measure the peak of memory inside a ``with`` block, above the level before it.

    On a GPU it is what torch's allocator held; elsewhere the process's resident memory, freed memory handed back
    to the system first. Where the system keeps no resettable peak (not Linux), a peak below an earlier one reads 0.
    """
    found = Peak()
    forget_peak(device)
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        yield found
        torch.cuda.synchronize(device)
        found.bytes = torch.cuda.max_memory_allocated(device) - before
        return
    before = _resident("VmRSS")
    yield found
    found.bytes = max(0, _resident("VmHWM") - before)


def forget_peak(device: torch.device) -> None:
    """Let the peak of memory begin anew at what is held now, freed memory handed back to the system first."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    with contextlib.suppress(OSError):
        CLEAR.write_text("5")


def keep_freed_memory() -> None:
    """Let the process keep the memory of freed tensors for the next ones, where its allocator is glibc's.

    By default a freed block of some MB goes back to the system, and the next tensor of that size is paid for page by
    page: an inner step on a CPU took up to twice as long.
    """
    if sys.platform == "linux":
        limits = getattr(ctypes.CDLL(None), "mallopt", None)
        if limits is not None:
            limits(TRIM_THRESHOLD, KEPT)
            limits(MMAP_THRESHOLD, LARGE)


def _resident(name: str) -> int:
    """Return resident memory now (VmRSS) or at most (VmHWM), in bytes."""
    try:
        lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
        return int(lines[name].split()[0]) * 1024
    except (OSError, KeyError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Return the wall time of a call in seconds, until the device has finished it."""
    begun = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begun


def available(device: torch.device) -> int:
    """Return how many bytes can still be allocated: free memory of the GPU, or of the machine or container."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free) + cached
    return min([psutil.virtual_memory().available, *_group_rooms(CGROUP, GROUPS)])


def _group_rooms(own: Path, groups: Path) -> list[int]:
    """Return the bytes that each control group around this process still has, those with a limit only.

    Pages of files that nobody uses count as free, as they do in what the machine says of itself.

    Args:
        own: the file that names this process's groups.
        groups: the folder in which the groups are, of the second version or of the first.
    """
    try:
        paths = [line.split(":", 2)[1:] for line in own.read_text().splitlines()]
    except OSError:
        return []
    rooms = []
    for controllers, path in paths:
        old = controllers == "memory"
        if controllers and not old:
            continue
        home = groups / "memory" if old else groups
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if old else ("memory.max", "memory.current")
        # In a container the path may be the machine's and the folder the container's: then only its root is there.
        inner = home / path.strip("/")
        for folder in {home, *(each for each in (inner, *inner.parents) if each.is_relative_to(home))}:
            with contextlib.suppress(OSError, ValueError):
                limit, used = (int((folder / name).read_text()) for name in names)  # "max" is no number: no limit
                counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                unused = int(counts.get("total_inactive_file" if old else "inactive_file", 0))
                rooms.append(max(0, limit - used + unused))
    return rooms


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
