"""What every stage program shares: the options that all of them take, the one-line errors, the progress bar."""

import argparse
import logging
import os
import shlex
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from tqdm import tqdm

from ddcore.data import NAMES, Task, load_task
from ddcore.errors import DDCoreError, UsageError
from ddcore.runtime import (
    INTERRUPTED,
    LOG,
    TRACKERS,
    Progress,
    Run,
    Stopped,
    available_cores,
    bind,
    keep_freed_memory,
    listen,
    log_to,
    outlook,
    peak_memory,
    together,
    tracker,
)

if TYPE_CHECKING:
    from accelerate import Accelerator

QUICK_TRAIN, QUICK_TEST = 2000, 1000


class Shown(logging.Handler):
    """Prints what is worth a person's attention, above any bar."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(f"{record.levelname.lower()}: {record.getMessage()}", file=sys.stderr)


class Parser(argparse.ArgumentParser):
    """A parser that complains in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (--help shows all options)\n" if _main() else None)


def parser(description: str, example: str) -> argparse.ArgumentParser:
    """Return a parser with the options of every stage."""
    made = Parser(
        description=description, epilog=f"example: {example}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_stage_options(made)
    return made


def add_stage_options(made: argparse.ArgumentParser) -> None:
    """Add the options of every stage to a parser."""
    group = made.add_argument_group("options of every stage")
    group.add_argument("--dataset", required=True, help=f"the real data set: {', '.join(NAMES)}")
    group.add_argument("--out", type=Path, required=True, help="run folder; the same command again goes on from there")
    group.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("DDCORE_DATA", "data")),
        help="folder of the data sets (default: $DDCORE_DATA, else ./data)",
    )
    group.add_argument("--seed", type=whole_number, default=0, help="seed of all draws (default 0)")
    group.add_argument(
        "--profile",
        choices=("cpu", "gpu"),
        default=None,
        help="sizes and schedules for a CPU or a GPU (default: what is there)",
    )
    group.add_argument("--quick", action="store_true", help="toy size, to see every stage work")
    group.add_argument("--fresh", action="store_true", help="put an earlier run in --out aside and start over")
    group.add_argument(
        "--tracker",
        choices=TRACKERS,
        metavar="NAME",
        help="also show what metrics.jsonl gets to tensorboard (files in OUT/tracker), or to another of "
        "accelerate's trackers",
    )
    group.add_argument("--debug", action="store_true", help="show the traceback of an error")


def whole_number(text: str) -> int:
    """Read an option that counts something: 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of 0 or more")
    return int(text)


def positive(text: str) -> int:
    """Read an option that counts something: 1 or more, and at most a billion."""
    if not text.isdecimal() or not 1 <= int(text) <= 10**9:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number between 1 and 1,000,000,000")
    return int(text)


def run_program(
    name: str, made: argparse.ArgumentParser, work: Callable[[argparse.Namespace], None], argv: Sequence[str] | None
) -> int:
    """Parse, work, and turn what goes wrong into one line and an exit code.

    2 for usage, 1 for failure, `ddcore.runtime.signals.REQUEUE` for a run that was stopped and wants to be started
    again, `INTERRUPTED` for Ctrl-C.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    args = made.parse_args(words)
    args.stage, args.command = name, f"scripts/{name}.py {shlex.join(words)}"
    listen()
    keep_freed_memory()
    try:
        with together(_end):
            work(args)
    except DDCoreError as error:
        return _fail(args, f"error: {error}", error.exit_code)
    except KeyboardInterrupt as error:
        code = error.exit_code if isinstance(error, Stopped) else INTERRUPTED
        line = "stopped: the same command goes on from the last checkpoint"
        return _fail(args, line if _main() else "", code)
    except (MemoryError, torch.OutOfMemoryError) as error:
        return _fail(args, f"error: out of memory ({error}); try a smaller budget or network", 1)
    return 0


def _end(line: str) -> None:
    """End the process at once, from whatever it hangs in."""
    LOG.info("%s", line or "ended, for another process did")
    if line:
        print(f"error: {line}", file=sys.stderr, flush=True)
    os._exit(1)


def _fail(args: argparse.Namespace, line: str, code: int) -> int:
    if args.debug:
        traceback.print_exc()
    if line:
        LOG.info("%s", line)
        print(line.replace("\n", " "), file=sys.stderr)
    return code


def _main() -> bool:
    """Return whether this is the only process, or the main one of several, before there is an accelerator."""
    return os.environ.get("RANK", "0") == "0"


def open_accelerator() -> "Accelerator":
    """Return the accelerator, whose processes wait for one another however long one of them works alone.

    `ddcore.runtime.watchdog` notices when one of them has ended. Without GPUs each process has its own cores and,
    unless OMP_NUM_THREADS decides, no more threads than those: in a container's share of a large machine they would
    otherwise spend their time waiting for one another.
    """
    from accelerate import Accelerator
    from accelerate.utils import InitProcessGroupKwargs

    accelerator = Accelerator(kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(days=30))])
    if accelerator.device.type == "cpu":
        processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        share = max(1, available_cores() // processes)
        bind(accelerator.local_process_index, processes)
        if "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(min(torch.get_num_threads(), share))
    return accelerator


def open_task(args: argparse.Namespace, accelerator: "Accelerator") -> Task:
    """Load the data set of ``--dataset``, the main process first; ``--quick`` cuts it to toy size."""
    with accelerator.main_process_first():
        task = load_task(args.dataset, args.data)
    # Part of what decides a run's result, so that a run folder is not gone on with when the files have changed.
    args.content = task.content or None
    return task.cut(QUICK_TRAIN, QUICK_TEST) if args.quick else task


def open_run(
    args: argparse.Namespace,
    accelerator: "Accelerator",
    folder: Path | None = None,
    apart: Sequence[str] = (),
    **more: Any,
) -> Run:
    """Open the run folder with the options that decide the result.

    Options of place and display don't, nor do those named by `apart`; `more` stands in place of what was typed.
    """
    skipped = {"out", "data", "fresh", "debug", "tracker", "stage", "command", *apart, *more}
    options = {name: value for name, value in vars(args).items() if name not in skipped and value is not None}
    options = {name: str(value) if isinstance(value, Path) else value for name, value in options.items()}
    with accelerator.main_process_first():
        run = Run.start(
            folder or args.out,
            args.stage,
            {**options, **more},
            args.command,
            main=accelerator.is_main_process,
            fresh=args.fresh,
        )
    if not run.finished:
        log_to(run.folder, accelerator.process_index, accelerator.num_processes, args.command)
        if run.main:
            LOG.addHandler(Shown(logging.WARNING))
    return tracked(args, run)


def tracked(args: argparse.Namespace, run: Run) -> Run:
    """Return a run that shows what it logs to the tracker that was asked for."""
    if args.tracker and run.main and not run.finished:
        run.tracker = tracker(args.tracker, run.folder)
    return run


def profile_of(args: argparse.Namespace, accelerator: "Accelerator") -> str:
    """Return ``cpu`` or ``gpu``: what was asked for, else what is there."""
    return str(args.profile or ("gpu" if accelerator.device.type == "cuda" else "cpu"))


def progress_bar(
    accelerator: "Accelerator", title: str, run: Run | None = None, every: float = 10.0, ahead: bool = False
) -> Progress:
    """Return a callback that moves a bar on the main process and, every so many seconds, logs the values.

    Args:
        accelerator: tells the main process.
        title: of the work.
        run: whose log takes the values.
        every: seconds.
        ahead: also say once, so many seconds after the first step, what the whole takes; this needs the run.
    """
    bar = tqdm(total=1, desc=title, disable=None if accelerator.is_main_process else True, leave=False, unit="step")
    last = time.monotonic()
    first: tuple[int, float] | None = None

    def show(step: int, total: int, values: dict[str, float]) -> None:
        nonlocal last, first, ahead
        first = first or (step, time.monotonic())
        if ahead and run is not None and step > first[0] and time.monotonic() - first[1] >= every:
            ahead = False
            pace = (time.monotonic() - first[1]) / (step - first[0])
            say(accelerator, outlook(pace * (total - step), run.folder, accelerator.device))
        if bar.total != total and bar.n == 0:  # what an earlier call did says nothing about the rate
            bar.initial = bar.n = max(0, step - 1)
        bar.total = total
        bar.update(step - bar.n)
        bar.set_postfix(beside_bar(values), refresh=False)
        if values and (time.monotonic() - last > every or step >= total):
            last = time.monotonic()
            told = ", ".join(f"{name} {value}" for name, value in beside_bar(values).items())
            LOG.info("%s: step %d of %d, %s", title, step, total, told)
            if run is not None:
                run.log(step, **values)

    return show


def beside_bar(values: dict[str, float]) -> dict[str, str]:
    """Return what is told beside the bar, which tells the rate and the time left itself: values and peak memory."""
    told = {name: f"{value:.4g}" for name, value in values.items() if name != "seconds_left"}
    held = peak_memory()
    for name, bytes_ in (("memory", held["peak_memory_bytes"]), ("GPU", held["peak_gpu_memory_bytes"])):
        if bytes_ is not None:
            told[name] = f"{bytes_ / 1e9:.2f} GB"
    return told


def say(accelerator: "Accelerator", line: str) -> None:
    """Print one line on the main process, above any bar, and keep it in the log."""
    if accelerator.is_main_process:
        tqdm.write(line)
        LOG.info("%s", line)


def require(condition: bool, line: str) -> None:
    """Raise a `UsageError` with this line unless the condition holds."""
    if not condition:
        raise UsageError(line)
