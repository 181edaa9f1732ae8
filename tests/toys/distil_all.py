"""Makes a toy set by every method that follows gradients and some selectors, and trains networks.

A program that `test_two_processes.py` starts.

Arguments: a folder with experts and a generator, and a folder for the sets.
"""

import os
import sys
from pathlib import Path

import torch
from torch import nn
from toys import IMAGE_METHODS, SHARED_SELECTORS, problem, short_method, toy_task, toy_teacher

from ddcore.options import changed
from ddcore.runtime.files import save_tensors
from ddcore.runtime.processes import open_processes
from ddcore.runtime.run_folder import Run
from ddcore.runtime.session import Session
from ddcore.selection.registry import SELECTORS
from ddcore.synthesis.outer_loop import distilled_set
from ddcore.synthesis.produce import select_set
from ddcore.training.evaluation import Cell, evaluate
from ddcore.training.recipes import quick, whole_recipe


def main(given: Path, out: Path) -> None:
    torch.set_num_threads(1)
    processes = open_processes()
    out.mkdir(exist_ok=True)
    (out / f"cores-{processes.process_index}").write_text(" ".join(map(str, sorted(os.sched_getaffinity(0)))))
    toy = toy_task()
    teacher = toy_teacher(toy, given / "teacher")

    def session(name: str) -> Session:
        with processes.main_process_first():
            run = Run.start(out / name, "make", {}, main=processes.is_main_process)
        return Session(run, processes, "cpu", quick=True)

    for name in IMAGE_METHODS:
        more = {"networks": 3, "shards": 3, "steps": 6 if name == "boost-dd" else 20}
        made = distilled_set(short_method(name, given, more), problem(toy, 8, teacher, 5), session(name))
        if processes.is_main_process:
            made.save(out / name)
        processes.wait_for_everyone()
    for name, options in SHARED_SELECTORS.items():
        selector = changed(SELECTORS[name](), options)
        select_set(selector, problem(toy, 8, teacher, 5), session(name))
    cells = [Cell(toy.train, "mlp", quick(whole_recipe(toy, "mlp", "cpu")), seed, f"mlp-{seed}") for seed in range(3)]

    def keep(cell: Cell, net: nn.Module) -> None:
        save_tensors(out / "seeds" / f"{cell.name}.safetensors", dict(net.state_dict()))

    evaluate(cells, toy, toy.load_test(), Session(Run(out / "seeds"), processes), keep)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
