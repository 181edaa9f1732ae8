"""The machine of a process: memory, time, cores, versions."""

import contextlib
import ctypes
import gc
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch

from ddcore.runtime.files import Json
from ddcore.runtime.precision import precision

# Two limits of glibc's allocator, and their values here.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT, LARGE = 2**30, 2**28
CGROUP, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class Peak:
    """The largest memory in bytes above the level at the start; set at the end of the ``with`` block."""

    bytes: int = 0


@contextlib.contextmanager
def peak(device: torch.device) -> Iterator[Peak]:
    """Measure the peak memory inside a ``with`` block, above the level before it.

    On a GPU this is the memory allocated by torch, otherwise the resident memory of the process, after freed memory was
    returned to the system. On systems without a resettable peak (not Linux), a peak below an earlier one reads 0.
    """
    measured, on_gpu = Peak(), device.type == "cuda"
    forget_peak(device)
    before = torch.cuda.memory_allocated(device) if on_gpu else _resident("VmRSS")
    yield measured
    if on_gpu:
        torch.cuda.synchronize(device)
    after = torch.cuda.max_memory_allocated(device) if on_gpu else _resident("VmHWM")
    measured.bytes = max(0, after - before)


def forget_peak(device: torch.device) -> None:
    """Return freed memory to the system, then reset the peak-memory statistics."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    with contextlib.suppress(OSError):
        CLEAR.write_bytes(b"5")


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the memory of the machine or of a GPU is too small."""
    # torch's allocator for the CPU has no class of errors of its own.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate memory" in str(error)
    )


def keep_freed_memory() -> None:
    """Let the process reuse the memory of freed tensors, if its allocator is glibc's.

    By default a freed block of some MB returns to the system, and the next tensor of that size causes a page fault per
    page: an inner step on a CPU took up to twice as long.
    """
    if sys.platform == "linux" and (set_limit := getattr(ctypes.CDLL(None), "mallopt", None)):
        set_limit(TRIM_THRESHOLD, KEPT)
        set_limit(MMAP_THRESHOLD, LARGE)


def _resident(name: str) -> int:
    """Return the resident memory (VmRSS) or its peak (VmHWM), in bytes."""
    try:
        lines = dict(line.split(":", 1) for line in STATUS.read_text(encoding="utf-8").splitlines() if ":" in line)
        return int(lines[name].split()[0]) * 1024
    except (OSError, KeyError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Return the wall time of a call in seconds, including its work on the device."""
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def available(device: torch.device) -> int:
    """Return the bytes that can still be allocated: free memory of the GPU, or of the machine or container."""
    import psutil

    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free) + cached
    return min([psutil.virtual_memory().available, *_group_rooms(CGROUP, GROUPS)])


def _group_rooms(own: Path, groups: Path) -> list[int]:
    """Return the free bytes of each control group of this process that has a limit.

    Inactive file pages count as free, as in the machine's own statistics.

    Args:
        own: the file that names this process's groups.
        groups: the folder of the groups, of version 2 or 1.
    """
    try:
        paths = [line.split(":", 2)[1:] for line in own.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return []
    rooms = []
    for controllers, path in paths:
        old = controllers == "memory"
        if controllers and not old:
            continue
        home = groups / "memory" if old else groups
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if old else ("memory.max", "memory.current")
        # In a container, the path may be the host's and the folder the container's: then only the root exists.
        inner = home / path.strip("/")
        for folder in {home, *(each for each in (inner, *inner.parents) if each.is_relative_to(home))}:
            with contextlib.suppress(OSError, ValueError):
                limit, used = (int((folder / name).read_bytes()) for name in names)  # "max" is not a number: no limit
                stat = (folder / "memory.stat").read_text(encoding="utf-8")
                counts = dict(line.split() for line in stat.splitlines())
                unused = int(counts.get("total_inactive_file" if old else "inactive_file", 0))
                rooms.append(max(0, limit - used + unused))
    return rooms


def commit() -> str:
    """Return the commit of this ddcore: ``$DDCORE_COMMIT``, otherwise that of its folder; ``unknown`` without any."""
    return os.environ.get("DDCORE_COMMIT") or _git("rev-parse", "HEAD") or "unknown"


def _git(*words: str) -> str:
    where = Path(__file__).parent
    try:
        answer = subprocess.run(["git", *words], cwd=where, capture_output=True, text=True, timeout=10)
    except OSError:
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def environment() -> dict[str, Json]:
    """Return the environment of this process: commit, versions, device, processor, threads, processes."""
    return {
        "commit": commit(),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("torch", "torchvision", "triton", "accelerate", "numpy")},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "precision": precision(),
        "cpu": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def processor() -> str:
    """Return the name of the processor, as reported by the system."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def unseen_gpu() -> str:
    """Return a line about a GPU whose driver this torch cannot use; empty without one, or if it is not asked for."""
    env = os.environ
    told = env.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true") or env.get("CUDA_VISIBLE_DEVICES") == ""
    if told or torch.cuda.is_available() or shutil.which("nvidia-smi") is None:
        return ""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    if answer.returncode or not answer.stdout.strip():
        return ""
    name, _, driver = answer.stdout.splitlines()[0].partition(",")
    wants = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no GPU at all"
    return (
        f"the {name.strip()} is not used: torch {torch.__version__} is made for {wants}, and the driver is "
        f"{driver.strip()}; install a newer driver (see docs/install.md), or a torch for that driver"
    )


def peak_memory() -> dict[str, int | None]:
    """Return the peak memory of this process so far in bytes, on the host and on the GPU."""
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    return {"peak_memory_bytes": host, "peak_gpu_memory_bytes": gpu}


def bind(number: int, count: int) -> list[int]:
    """Bind this process to its own part of the available cores, and return these cores.

    Processes that wait for one another at every step would otherwise migrate between cores and lose their caches. With
    fewer cores than processes, or on a system without core affinity, nothing is changed.

    Args:
        number, count: number of this process on its machine, and of all processes on it.
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
    """Return the number of cores that this process may use: its affinity, limited by the container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        limit, period = quota.read_text(encoding="utf-8").split()
        return max(1, min(cores, round(int(limit) / int(period))))
    except (OSError, ValueError):
        return cores
