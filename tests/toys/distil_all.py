"""Makes a toy set by every method that follows gradients; a program that `test_two_processes.py` starts.

Arguments: a folder with experts and a generator, and a folder for the sets.
"""

import sys
from pathlib import Path

import torch
from accelerate import Accelerator
from toys import IMAGE_METHODS, short_options, toy_task, toy_teacher

from ddcore.distillation import distill
from ddcore.methods import METHODS
from ddcore.runs import Run


def main(given: Path, out: Path) -> None:
    torch.set_num_threads(1)
    accelerator = Accelerator(cpu=True)
    toy = toy_task()
    for name in IMAGE_METHODS:
        more = {"networks": 3, "shards": 3, "steps": 6 if name == "boost-dd" else 20}
        method = METHODS[name](**short_options(name, given, more))
        with accelerator.main_process_first():
            run = Run.start(out / name, "distill", {}, main=accelerator.is_main_process)
        made = distill(method, name, toy, 8, toy_teacher(toy), run, 5, accelerator)
        if accelerator.is_main_process:
            made.save(out / name)
        accelerator.wait_for_everyone()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
