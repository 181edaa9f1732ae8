"""Train a class-conditional generator of a data set's images, for distill.py gan.

It learns from the members outside the validation split; that split decides which state of the generator is kept.
"""

import argparse
import sys
from collections.abc import Sequence

import stage
from ddcore.options import add_options, read_options
from ddcore.runtime import Session
from ddcore.training import GANRecipe, train_generator


def options() -> argparse.ArgumentParser:
    parser = stage.parser(__doc__ or "", "train_generator.py --dataset fashion_mnist --out runs/generator")
    add_options(parser, GANRecipe)
    return parser


def work(args: argparse.Namespace) -> None:
    accelerator = stage.open_accelerator()
    recipe = read_options(args, GANRecipe)
    task = stage.open_task(args, accelerator)
    recipe.check(task)
    run = stage.open_run(args, accelerator)
    if run.finished:
        return stage.say(accelerator, f"{args.out} is finished")
    bar = stage.progress_bar(accelerator, f"{task.name} generator", run, ahead=True)
    best = train_generator(recipe, task, args.seed, Session(run, accelerator, quick=args.quick, progress=bar))
    if best is not None:
        stage.say(
            accelerator,
            f"{task.name}: a network trained on samples of step {best.step} sees "
            f"{100 * best.score:.2f} % of the validation part right",
        )


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("train_generator", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
