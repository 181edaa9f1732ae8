"""What every stage program shares: its options, and how what goes wrong becomes one line and an exit code."""

import begin
import argparse
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from call import Call
from ddcore import runtime
from ddcore.data import NAMES, data_folder
from ddcore.errors import DDCoreError
from ddcore.options import number, positive, whole_number


class Parser(argparse.ArgumentParser):
    """A parser that complains in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (--help shows all options)\n" if begin.main_process() else None)


def parser(description: str, example: str) -> argparse.ArgumentParser:
    """Return a parser with the options of every stage."""
    raw = argparse.RawDescriptionHelpFormatter
    command = Parser(description=description, epilog=f"example: {example}", formatter_class=raw)
    add_stage_options(command)
    return command


def add_stage_options(command: argparse.ArgumentParser) -> None:
    """Add the options of every stage to a parser."""
    group = command.add_argument_group("options of every stage")
    group.add_argument("--dataset", required=True, help=f"the real data set: {', '.join(NAMES)}")
    group.add_argument("--out", type=Path, required=True, help="run folder; the same command resumes the run there")
    where = "folder of the data sets (default: $DDCORE_DATA, otherwise ./data)"
    group.add_argument("--data", type=Path, default=data_folder(), help=where)
    group.add_argument("--seed", type=whole_number, default=0, help="seed of all draws (default 0)")
    sizes = "sizes and schedules for a CPU or a GPU (default: what is there)"
    group.add_argument("--profile", choices=("cpu", "gpu"), help=sizes)
    finer = "of a GPU's convolutions and matrix products (default: tf32; ieee where a method needs it)"
    group.add_argument("--precision", choices=runtime.PRECISIONS, help=finer)
    group.add_argument("--quick", action="store_true", help="toy size, to see every stage work")
    group.add_argument("--fresh", action="store_true", help="put an earlier run in --out aside and start over")
    shown = "also show metrics.jsonl in tensorboard (files in OUT/tracker), or in another of accelerate's trackers"
    group.add_argument("--tracker", metavar="NAME", help=shown)
    waits = "wait so long for the other processes of several (default 30)"
    group.add_argument("--wait", type=number, default=30.0, metavar="MINUTES", help=waits)
    group.add_argument("--debug", action="store_true", help="show the traceback of an error")


def add_ledger_options(command: argparse.ArgumentParser) -> None:
    """Add the options of a stage whose test scores may be published."""
    shown = "append each test score to this ledger; for every score that leads to a figure or to a changed setting"
    command.add_argument("--ledger", type=Path, metavar="FILE", help=shown)
    command.add_argument(
        "--why", choices=("figure", "decision"), default="figure", help="what such a score leads to (default figure)"
    )


def add_set_options(command: argparse.ArgumentParser) -> None:
    """Add the options of every stage that makes a set to a parser."""
    add_stage_options(command)
    command.add_argument("--budget", type=positive, required=True, help="members in all")
    command.add_argument("--teacher", type=Path, help="run folder of train_baseline.py --part fit")
    command.add_argument("--seeds", type=positive, default=1, help="how many; several go to OUT/seed-0, OUT/seed-1 …")


def run_program(
    name: str, command: argparse.ArgumentParser, work: Callable[[Call], None], argv: Sequence[str] | None
) -> int:
    """Parse, work, and turn what goes wrong into one line and an exit code.

    2 for usage, 1 for failure, `ddcore.runtime.signals.REQUEUE` for a run that was stopped and wants to be started
    again, `INTERRUPTED` for Ctrl-C.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    call = Call(name, command.parse_args(words), f"scripts/{name}.py {shlex.join(words)}")
    runtime.listen()
    runtime.end_with_parent()
    runtime.keep_freed_memory()
    try:
        runtime.set_precision(getattr(call.args, "precision", None) or "tf32", name)
        with runtime.together(begin.end_now):
            work(call)
    except DDCoreError as error:
        return _fail(call, f"error: {error}", error.exit_code)
    except KeyboardInterrupt as error:
        runtime.close()
        code = error.exit_code if isinstance(error, runtime.Stopped) else runtime.INTERRUPTED
        line = "stopped: the same command resumes from the last checkpoint"
        return _fail(call, line if begin.main_process() else "", code)
    except OSError as error:
        return _fail(call, f"error: {error.filename or 'a file or connection'}: {error.strerror or error}", 1)
    except (MemoryError, RuntimeError) as error:
        if "C compiler" in str(error):
            return _fail(call, "error: Triton starts its kernels with a C compiler: install gcc, or set CC", 1)
        if not runtime.out_of_memory(error):
            raise
        return _fail(call, f"error: out of memory ({error}); try a smaller budget or network", 1)
    return 0


def _fail(call: Call, line: str, code: int) -> int:
    if call.args.debug:
        traceback.print_exc()
    if line:
        runtime.LOG.info("%s", line)
        print(line.replace("\n", " "), file=sys.stderr)
    return code
