"""Train a class-conditional generator of a data set's images, for distill.py gan.

Its real members are those outside the validation part, which says when the generator was at its best.
"""

import argparse
import sys
from collections.abc import Sequence

import torch

import stage
from ddcore.data import Task
from ddcore.draws import generator
from ddcore.nets import generated, save_generator
from ddcore.options import add_options, read_options
from ddcore.runtime import Checkpoints, write_atomic
from ddcore.sets import SHOWN_A_CLASS, DistilledSet, grid_png
from ddcore.training import GANRecipe, GANTraining, Made


def options() -> argparse.ArgumentParser:
    made = stage.parser(__doc__ or "", "train_generator.py --dataset fashion_mnist --out runs/generator")
    add_options(made, GANRecipe)
    return made


def work(args: argparse.Namespace) -> None:
    accelerator = stage.open_accelerator()
    task = stage.open_task(args, accelerator)
    stage.require(task.kind == "images", f"{task.name} holds {task.kind}: a generator makes images")
    recipe = read_options(args, GANRecipe)
    recipe = recipe.quick() if args.quick else recipe
    run = stage.open_run(args, accelerator)
    if run.finished:
        return stage.say(accelerator, f"{args.out} is finished")
    # One process trains: the networks are small, and a step of one follows that of the other.
    if accelerator.is_main_process:
        checkpoint = args.out / "checkpoint.safetensors"
        bar = stage.progress_bar(accelerator, f"{task.name} generator", run, ahead=True)
        made = GANTraining(task, recipe, args.seed, accelerator.device).run(checkpoint, bar)
        save_generator(made.net, task, args.out, score=made.score, step=made.step)
        write_atomic(args.out / "grid.png", samples_png(made, task, args.seed, accelerator.device))
        run.finish({"score": made.score, "step": made.step})
        Checkpoints(checkpoint, "").forget()
        stage.say(
            accelerator,
            f"{task.name}: a network trained on samples of step {made.step} sees "
            f"{100 * made.score:.2f} % of the validation part right",
        )
    accelerator.wait_for_everyone()


def samples_png(made: Made, task: Task, seed: int, device: torch.device) -> bytes:
    """Return a grid of random samples, a row a class."""
    y = torch.arange(len(task.classes)).repeat_interleave(SHOWN_A_CLASS)
    z = torch.randn(len(y), made.net.latent, generator=generator(seed, "grid"))
    x = generated(made.net, z.to(device), y.to(device)).cpu()
    return grid_png(DistilledSet("images", x, y, task.name, task.classes, "generator", mean=task.mean, std=task.std))


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("train_generator", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
