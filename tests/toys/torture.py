"""Kills small runs of changing methods at random moments, starts them again, and compares what they end with.

Argument: how many. A program that `tests/torture.sh` starts; every run is a process of its own.
"""

import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "scripts")]

import distill
import torch
import train_baseline
import train_experts
import train_generator
from toys import IMAGE_METHODS, short_options

from ddcore.runtime.signals import INTERRUPTED, PATIENCE, REQUEUE
from ddcore.synthesis import produce

DATA = ["--dataset", "digits", "--profile", "cpu"]
FULL = 0
CODES = {
    signal.SIGKILL: -signal.SIGKILL,
    signal.SIGTERM: REQUEUE,
    signal.SIGUSR1: REQUEUE,
    signal.SIGINT: INTERRUPTED,
    FULL: 1,
}
NAMES = {FULL: "a full disk"}


def started(program, words: list[str], log: Path | None) -> int:
    """Start a program with options in a process of its own, and return its number."""
    child = os.fork()
    if child:
        return child
    code = 99
    try:
        said = os.open(os.devnull if log is None else log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(said, 1)
        os.dup2(said, 2)
        # The last checkpoint is compared, too.
        produce.forget_checkpoint = distill.forget_checkpoint = lambda session: None
        code = program.main(words)
    except SystemExit as left:
        code = int(left.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def done(program, words: list[str], log: Path) -> float:
    """Run a program to its end and return its seconds."""
    began = time.monotonic()
    code = ended(started(program, words, log))
    if code:
        sys.exit(f"{program.__name__} {' '.join(words)} ended with {code}:\n{log.read_text()[-2000:]}")
    return time.monotonic() - began


def command(method: str, given: Path, out: Path) -> list[str]:
    more = {"steps": 12, "validation_steps": 5, "real_batch": 40, "networks": 1, "pool": 2}
    options = short_options(method, given, more)
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    teacher = ["--teacher", str(given / "teacher")]
    return [method, *DATA, *words, *teacher, "--budget", "40", "--checkpoint-steps", "1", "--out", str(out)]


def files(folder: Path) -> dict[str, bytes]:
    """Return what a run ended with: its set, and its checkpoints."""
    wanted = [path for path in folder.rglob("*") if path.suffix == ".safetensors" or path.name == "set.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in wanted}


def strike(child: int, kind: int) -> None:
    if kind == FULL:
        resource.prlimit(child, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    else:
        os.kill(child, kind)


def prepared(given: Path, log: Path) -> None:
    """Make what the methods need."""
    done(train_baseline, [*DATA, "--part", "fit", "--quick", "--out", str(given / "teacher")], log)
    small = ["--net", "convnet", "--experts", "2", "--points", "3", "--stride", "4"]
    done(train_experts, [*DATA, *small, "--out", str(given / "experts")], log)
    done(train_generator, [*DATA, "--quick", "--out", str(given / "generator")], log)


def main(count: int, place: Path) -> int:
    torch.set_num_threads(1)
    draws = random.Random(count)
    given, log = place / "given", place / "log"
    prepared(given, log)
    took, straight = {}, {}
    tally: Counter[str] = Counter()
    slowest = 0.0
    for number in range(count):
        method, kind = (
            IMAGE_METHODS[number % len(IMAGE_METHODS)],
            list(CODES)[(number + number // len(IMAGE_METHODS)) % len(CODES)],
        )
        if method not in straight:
            whole = place / f"{method}-straight"
            took[method] = done(distill, command(method, given, whole), log)
            straight[method] = files(whole)
        cut = place / f"{number}-{method}"
        words = command(method, given, cut)
        # Nothing is said to a file here, for that may be full.
        child = started(distill, words, None)
        moment = draws.uniform(0, took[method])
        time.sleep(moment)
        struck = time.monotonic()
        strike(child, kind)
        code = ended(child)
        slowest = max(slowest, time.monotonic() - struck if kind not in (FULL, signal.SIGKILL) else 0.0)
        right = code in (CODES[kind], 0)
        done(distill, words, log)
        found = files(cut)
        other = sorted(name for name in {*found, *straight[method]} if found.get(name) != straight[method].get(name))
        same = not other
        tally["same" if same and right else "wrong"] += 1
        name = NAMES.get(kind) or signal.Signals(kind).name
        verdict = "same bytes" if same else f"OTHER BYTES in {', '.join(other)}"
        print(f"{number + 1:3d} {method:9s} {name:11s} after {moment:5.2f} s, exit {code:3d}: {verdict}", flush=True)
    print(
        f"{tally['same']} of {count} ended with the bytes of the run that nothing interrupted; "
        f"the slowest answer to a signal took {slowest:.1f} s"
    )
    return 0 if tally["same"] == count and slowest < PATIENCE + 5 else 1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(main(int(sys.argv[1]), Path(folder)))
