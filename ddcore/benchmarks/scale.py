"""How seconds and memory of every stage grow with members, classes, side, budget and processes."""

import math
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch

from ddcore.benchmarks.rows import Benchmark, CaseResult, Row, row
from ddcore.benchmarks.scaling import LAUNCH
from ddcore.errors import DDCoreError, known, require
from ddcore.options import option
from ddcore.selection import SELECTORS

PICTURES = Path(__file__).parents[2] / "tests" / "toys" / "many_pictures.py"
# Seconds between two looks at the memory of a stage.
PAUSE = 0.05


@dataclass(frozen=True)
class ScaleCase:
    """Pictures in a folder, and what is made of them.

    Attributes:
        members: pictures, a fifth of which becomes the test set.
        classes: of them.
        side: pixels per side.
        budget: members of a small set; at least one per class.
        processes: that share a stage.
    """

    members: int = 20_000
    classes: int = 10
    side: int = 64
    budget: int = 100
    processes: int = 1

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in asdict(self).items())


LARGE = ScaleCase(members=200_000, side=224)
"""More pixels than the memory of the machine: 30 GB."""
BASE, TINY = ScaleCase(), ScaleCase(members=200, side=16, budget=10)
AXES: dict[str, tuple[int, ...]] = {
    "members": (2_000, 20_000, 200_000),
    "classes": (10, 100, 1000),
    "side": (32, 64, 128, 224),
    "budget": (10, 100, 1000),
    "processes": (1, 2),
}
TINY_AXES: dict[str, tuple[int, ...]] = {
    "members": (200, 400),
    "classes": (4, 10),
    "side": (16, 32),
    "budget": (10, 20),
    "processes": (1, 2),
}


@dataclass(frozen=True)
class ScaleStage:
    """A stage of a job.

    Attributes:
        command: of ``scripts/``; ``{out}`` is its run folder, ``{teacher}``, ``{random}`` those of other stages.
        growth: the largest slope to expect of log seconds along an axis; 0 along axes without an entry.
    """

    command: str
    growth: dict[str, float]


def stages() -> dict[str, ScaleStage]:
    """Return the stages in the order in which they run: later ones use the teacher and the random set."""
    passes = {"members": 1.0, "side": 2.0}
    chosen = {
        name: ScaleStage(selection(name), {**passes, "classes": 1.0, "budget": 1.0})
        for name in SELECTORS
        if name != "random"
    }
    return {
        "first reading": ScaleStage("select_subset.py random --budget {budget}", passes),
        "random": ScaleStage("select_subset.py random --budget {budget}", {}),
        "teacher": ScaleStage("train_baseline.py --part fit --net convnet --steps 20", passes),
        **chosen,
        "dm": ScaleStage("distill.py dm --budget {budget} --steps 2", {"side": 2.0, "classes": 1.0, "budget": 1.0}),
        "evaluate": ScaleStage("evaluate.py --set {random} --nets mlp", passes),
    }


def selection(name: str) -> str:
    """Return the command of a selector; one that trains networks trains short MLPs: its passes are what counts."""
    short = {"net": "--net mlp", "share": "--share 0.05"}
    words = [option for field, option in short.items() if hasattr(SELECTORS[name], field)]
    return " ".join([f"select_subset.py {name}", *words, "--budget {budget} --teacher {teacher}"])


def large_stages() -> dict[str, ScaleStage]:
    """Return the stages of the case `LARGE`, with a small teacher and a small proxy."""
    commands = {
        "first reading": "select_subset.py random --budget {budget}",
        "random": "select_subset.py random --budget {budget}",
        "teacher": "train_baseline.py --part fit --net mlp --steps 20",
        **{name: selection(name) for name in ("el2n", "k-means")},
        "dm": "distill.py dm --budget {budget} --steps 5",
        "evaluate": "evaluate.py --set {dm} --nets mlp",
    }
    return {name: ScaleStage(command, {}) for name, command in commands.items()}


@dataclass(frozen=True)
class ScaleBenchmark(Benchmark):
    """Seconds and memory of every stage as the training set grows: members, classes, side, budget, processes."""

    axis: str = option(
        "all", "along which to grow; large: one case of 200,000 pictures of 224x224", choices=("all", *AXES, "large")
    )
    stages: str = option("all", "which stages, with commas between")
    folder: str = option("", "where pictures and runs are kept, for a later call (default: a temporary folder)")
    limit: float = option(1800.0, "seconds after which a stage is ended and left out", low=1.0)

    def results(self, program: Sequence[str], device: torch.device) -> Iterator[CaseResult]:
        """Yield the measurements of each case, and after each axis the slopes of its stages."""
        require(PICTURES.is_file(), f"scale makes its pictures with {PICTURES}, which only a checkout has", DDCoreError)
        for name in self._table() if self.stages == "all" else self.stages.split(","):
            known("stage", name, list(self._table()))
        base, axes = (TINY, TINY_AXES) if self.quick else (BASE, AXES)
        with tempfile.TemporaryDirectory() as scratch:
            home, scripts = Path(self.folder or scratch), Path(program[0]).parent
            home.mkdir(parents=True, exist_ok=True)
            if self.axis == "large":
                yield from (result for result, _, _ in self._measured(TINY if self.quick else LARGE, home, scripts))
                return
            done: dict[ScaleCase, dict[str, float]] = {}
            for axis in axes if self.axis == "all" else [self.axis]:
                for size in axes[axis]:
                    case = replace(base, **{axis: size})
                    if case not in done:
                        done[case] = {}
                        for result, name, seconds in self._measured(case, home, scripts):
                            if math.isfinite(seconds):
                                done[case][name] = seconds
                            yield result
                cases = [replace(base, **{axis: size}) for size in axes[axis]]
                yield slopes(axis, axes[axis], [done[case] for case in cases])

    def _table(self) -> dict[str, ScaleStage]:
        """Return the stages to choose from."""
        return large_stages() if self.axis == "large" else stages()

    def _measured(self, case: ScaleCase, home: Path, scripts: Path) -> Iterator[tuple[CaseResult, str, float]]:
        """Yield the measurements of each stage of a case, its name and seconds."""
        pictures = home / f"pictures-{case.members}-{case.classes}-{case.side}"
        if not pictures.exists():
            sizes = f"--count {case.members} --classes {case.classes} --side {case.side}"
            subprocess.run([sys.executable, str(PICTURES), str(pictures), *sizes.split()], check=True)
        runs = Path(tempfile.mkdtemp(prefix="runs-", dir=home))
        folders = {name: str(runs / name.replace(" ", "-")) for name in self._table()}
        launch = [] if case.processes == 1 else [*LAUNCH.split(), str(case.processes)]
        place = {"DDCORE_CACHE": str(runs / "cache")}
        if case.processes > 1 and not torch.cuda.is_available():
            place["ACCELERATE_USE_CPU"] = "true"
        for name, stage in self._table().items():
            if self.stages != "all" and name not in (*self.stages.split(","), "first reading", "random", "teacher"):
                continue
            script, *words = shlex.split(stage.command)
            budget = str(max(case.budget, case.classes))
            options = [word.format(budget=budget, **folders) for word in words]
            options += ["--dataset", f"images:{pictures}", "--out", folders[name]]
            seconds, anonymous, mapped = watched(
                [sys.executable, *launch, str(scripts / script), *options], place, self.limit
            )
            if math.isinf(seconds):
                yield CaseResult([], f"{case} {name}: not finished in {self.limit:.0f} s"), name, seconds
                continue
            rows = [
                row("scale", str(case), name, "time", "s", [seconds]),
                row("scale", str(case), name, "anonymous memory", "bytes", [anonymous]),
                row("scale", str(case), name, "mapped memory", "bytes", [mapped]),
            ]
            text = f"{case} {name}: {seconds:.1f} s, {anonymous / 1e9:.2f} GB anonymous, {mapped / 1e9:.2f} GB mapped"
            yield CaseResult(rows, text), name, seconds


def slopes(axis: str, sizes: Sequence[int], seconds: Sequence[dict[str, float]]) -> CaseResult:
    """Return the steepest slope of log seconds between neighbours along an axis, by stage, beside the expected one.

    Args:
        axis: its name.
        sizes: along it, ascending.
        seconds: of each stage at each size.
    """
    rows: list[Row] = []
    texts = []
    for name, stage in stages().items():
        points = [(size, each[name]) for size, each in zip(sizes, seconds, strict=True) if name in each]
        found = [math.log(b / a) / math.log(n / m) for (m, a), (n, b) in pairwise(points)]
        if not found:
            continue
        expected = stage.growth.get(axis, 0.0)
        rows.append(row("scale", axis, name, "slope", "", [max(found)]))
        rows.append(row("scale", axis, name, "expected slope", "", [expected]))
        texts.append(f"{name} {max(found):.2f} (at most {expected:g})")
    return CaseResult(rows, f"slopes along {axis}: {', '.join(texts)}")


def watched(command: Sequence[str], place: dict[str, str], limit: float) -> tuple[float, float, float]:
    """Return the seconds of a command and its peaks of anonymous and of mapped memory, in bytes.

    Memory is that of the command and of all processes that it starts, read every `PAUSE` seconds; mapped pages that
    several of them share are counted for each.

    Args:
        command: program and arguments.
        place: environment variables, besides those of this process.
        limit: seconds after which it is ended; infinite seconds are returned then.

    Raises:
        DDCoreError: the command failed.
    """
    begun = time.perf_counter()
    anonymous = mapped = 0.0
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env={**os.environ, **place})
        try:
            while process.poll() is None:
                pages = [pages_of(pid) for pid in (process.pid, *descendants(process.pid))]
                anonymous = max(anonymous, sum(each[0] for each in pages))
                mapped = max(mapped, sum(each[1] for each in pages))
                if time.perf_counter() - begun > limit:
                    return math.inf, anonymous, mapped
                time.sleep(PAUSE)
        finally:
            for pid in (process.pid, *descendants(process.pid)) if process.poll() is None else ():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
        errors.seek(0)
        last = (errors.read().decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]
    require(not process.returncode, f"{shlex.join(command)} failed (exit {process.returncode}): {last}", DDCoreError)
    return time.perf_counter() - begun, anonymous, mapped


def descendants(pid: int) -> list[int]:
    """Return the process numbers of all children of a process, and of their children."""
    import psutil

    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def pages_of(pid: int) -> tuple[float, float]:
    """Return the anonymous and the file-backed resident memory of a process in bytes; zeros if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0, 0.0
    sizes = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
    return 1024.0 * int(sizes.get("RssAnon", 0)), 1024.0 * int(sizes.get("RssFile", 0))
