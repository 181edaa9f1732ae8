"""One of several processes that exchange numbers until something happens to the last; `test_watchdog.py` starts it.

Arguments: what happens to it, and a file for the time at which it does.
"""

import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from accelerate import Accelerator
from accelerate.utils import gather_object

import stage
from call import Call
from ddcore.errors import DDCoreError


def happens(what: str) -> None:
    if what == "full":
        raise DDCoreError("the disk is full")
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)


def work(call: Call) -> None:
    args = call.args
    accelerator = Accelerator(cpu=True)
    for _ in range(3):
        gather_object([accelerator.process_index])
    if accelerator.process_index == accelerator.num_processes - 1:
        args.when.write_text(str(time.time()))
        happens(args.what)
    gather_object([accelerator.process_index])


if __name__ == "__main__":
    made = stage.Parser()
    made.add_argument("what")
    made.add_argument("when", type=Path)
    made.add_argument("--debug", action="store_true")
    sys.exit(stage.run_program("member", made, work, None))
