"""Start a stage as several processes through accelerate's launcher; one line says why they ended, if they fail.

Without --processes there is one on each GPU, or one on the CPU. It exits with the code of the process that ended first.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from accelerate.commands.launch import launch_command, launch_command_parser
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

import stage
from ddcore.errors import DDCoreError

STOPPED = 130
# Without a word of C++ about connections that break when a process ends.
QUIET = {"TORCH_CPP_LOG_LEVEL": "FATAL"}


def options() -> argparse.ArgumentParser:
    made = stage.Parser(
        description=__doc__,
        epilog="example: launch.py scripts/distill.py dm --dataset cifar10 --budget 500 --out runs/dm",
    )
    made.add_argument("--processes", type=stage.positive, help="on all machines together (default: one a GPU)")
    made.add_argument("--cpu", action="store_true", help="leave the GPUs alone")
    made.add_argument("--threads", type=stage.positive, default=1, help="of each process on the CPU (default 1)")
    made.add_argument("--machines", type=stage.positive, default=1, help="how many, each of which calls this program")
    made.add_argument("--machine", type=stage.whole_number, default=0, help="number of this one, the main one is 0")
    made.add_argument("--main", metavar="HOST:PORT", help="a free port of the main machine, the same for all")
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    made.add_argument("program", type=Path, help="such as scripts/distill.py")
    made.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="its options")
    return made


def launch(args: argparse.Namespace) -> int:
    """Start the processes, wait for them and return the exit code."""
    gpus = 0 if args.cpu or not torch.cuda.is_available() else torch.cuda.device_count()
    count = args.processes or max(gpus, 1) * args.machines
    stage.require(args.machines == 1 or args.main is not None, "several --machines need --main HOST:PORT")
    stage.require(gpus == 0 or count <= gpus * args.machines, f"{count} processes need a GPU each, here are {gpus}")
    stage.require(count % args.machines == 0, f"{count} processes cannot be shared evenly by {args.machines} machines")
    stage.require(args.program.is_file(), f"there is no program {args.program}")
    os.environ.setdefault("OMP_NUM_THREADS", str(args.threads))
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if gpus == 0:
        os.environ["ACCELERATE_USE_CPU"] = "true"
    if count == 1:
        os.execv(sys.executable, [sys.executable, str(args.program), *args.rest])
    host, _, port = (args.main or ":0").rpartition(":")
    words = ["--multi_gpu", "--num_processes", str(count), "--num_machines", str(args.machines)]
    words += ["--machine_rank", str(args.machine), "--main_process_port", port]
    words += ["--main_process_ip", host] if host else []
    words += ["--mixed_precision", "no", "--dynamo_backend", "no", "--num_cpu_threads_per_process", str(args.threads)]
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        launch_command(launch_command_parser().parse_args([*words, str(args.program), *args.rest]))
    except ChildFailedError as error:
        spoke = sorted((each.timestamp, each.exitcode) for each in error.failures.values() if each.exitcode > 0)
        if spoke:
            return int(spoke[0][1])
        raise DDCoreError(f"all {count} processes were ended by {error.get_first_failure()[1].signal_name()}") from None
    except SignalException:
        return STOPPED
    return 0


def work(args: argparse.Namespace) -> None:
    sys.exit(launch(args))


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("launch", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
