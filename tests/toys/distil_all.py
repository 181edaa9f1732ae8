"""Makes a toy set by every method that follows gradients and some selectors, and trains networks.

A program that `test_two_processes.py` starts.

Arguments: a folder with experts and a generator, and a folder for the sets.
"""

import os
import sys
from pathlib import Path

import torch
from torch import nn
from toys import IMAGE_METHODS, SHARED_SELECTORS, short_options, toy_task, toy_teacher

import stage
from ddcore.methods.registry import METHODS
from ddcore.runtime.files import save_tensors
from ddcore.runtime.run_folder import Run
from ddcore.runtime.session import Session
from ddcore.selection.registry import SELECTORS
from ddcore.synthesis.outer_loop import distill
from ddcore.synthesis.produce import select
from ddcore.training.evaluation import Cell, evaluate
from ddcore.training.recipes import quick, whole_recipe


def main(given: Path, out: Path) -> None:
    torch.set_num_threads(1)
    accelerator = stage.open_accelerator()
    out.mkdir(exist_ok=True)
    (out / f"cores-{accelerator.process_index}").write_text(" ".join(map(str, sorted(os.sched_getaffinity(0)))))
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
    for name, options in SHARED_SELECTORS.items():
        with accelerator.main_process_first():
            run = Run.start(out / name, "select", {}, main=accelerator.is_main_process)
        select(
            SELECTORS[name](net="mlp", share=0.01, **options),
            name,
            toy,
            8,
            "hard",
            1.0,
            None,
            run,
            5,
            accelerator,
            "cpu",
            True,
        )
    cells = [Cell(toy.train, "mlp", quick(whole_recipe(toy, "mlp", "cpu")), seed, f"mlp-{seed}") for seed in range(3)]

    def keep(cell: Cell, net: nn.Module) -> None:
        save_tensors(out / "seeds" / f"{cell.name}.safetensors", dict(net.state_dict()))

    evaluate(cells, toy, toy.load_test(), Session(Run(out / "seeds"), accelerator), keep)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
