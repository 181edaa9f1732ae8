"""Run a program with one process per visible GPU, or as one process if there are fewer than two GPUs.

usage: launch.py [options of accelerate launch] PROGRAM.py [options of the program]

Options of ``accelerate launch`` decide the number and the place of the processes. Several nodes need --num_machines,
--machine_rank, --main_process_ip, --main_process_port and --num_processes (of all nodes together). Unlike
``accelerate launch`` this program forwards SIGTERM, SIGINT, SIGUSR1 and SIGHUP to the processes and waits until they
have saved their state. Its exit code is that of the process that ended first; 75 means "start me again".
"""

import begin
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import psutil

from ddcore.job import launch_command
from ddcore.runtime import available_cores

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)


def pass_on(number: int, frame: FrameType | None) -> None:
    """Forward a signal to the processes; if none has been started, end with the code for "start me again"."""
    processes = psutil.Process().children()
    if not processes:
        raise SystemExit(os.EX_TEMPFAIL)
    for process in processes:
        process.send_signal(number)


def launch(words: Sequence[str]) -> int:
    """Run ``accelerate launch`` in this process and return the exit code of the process that ended first."""
    # With torch's handlers the exit code of the processes would be lost, and nohup would have no effect.
    os.environ["PET_SIGNALS_TO_HANDLE"] = "SIGQUIT"
    from accelerate.commands import launch as accelerate_launch
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # each process reports its own error
    parser = accelerate_launch.launch_command_parser()
    try:
        with tempfile.TemporaryDirectory(prefix="ddcore-launch-") as folder:  # otherwise one is left behind
            accelerate_launch.launch_command(parser.parse_args(["--log_dir", folder, *words]))
    except ChildFailedError as failed:
        rank, failure = failed.get_first_failure()
        reported = any(each.exitcode > 0 for each in failed.failures.values())  # by a process that was not killed
        if failure.exitcode < 0 and not reported:
            begin.note(f"error: process {rank} was killed by {signal.Signals(-failure.exitcode).name}")
        return failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    if not words:
        print("error: name the program to launch (see --help)", file=sys.stderr)
        return 2
    for number in PASSED_ON:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, pass_on)
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if words[0].startswith("-"):
        return launch(words)
    places = ("no GPU: one process on the CPU", "1 GPU: one process", f"{gpus} GPUs: one process on each")
    print(f"launch: {places[min(gpus, 2)]}", file=sys.stderr, flush=True)
    if gpus > 1:
        command = launch_command(Path(words[0]), words[1:], gpus=gpus, threads=max(1, available_cores() // gpus))
        return launch(command[command.index("--quiet") :])
    os.execv(sys.executable, [sys.executable, *words])


if __name__ == "__main__":
    sys.exit(main())
