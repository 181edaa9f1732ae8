"""Train a class-conditional generator of a data set's images, for distill.py gan.

It learns from the members outside the validation split; that split decides which state of the generator is kept.
"""

import argparse
import sys
from collections.abc import Sequence

import stage
from call import Call
from ddcore.options import add_options, read_options
from ddcore.training import GANRecipe, train_generator


def options() -> argparse.ArgumentParser:
    parser = stage.parser(__doc__ or "", "train_generator.py --dataset fashion_mnist --out runs/generator")
    add_options(parser, GANRecipe)
    return parser


def work(call: Call) -> None:
    recipe, task = read_options(call.args, GANRecipe), call.task
    recipe.check(task)
    session = call.session(f"{task.name} generator")
    if not call.finished(session) and (best := train_generator(recipe, task, call.args.seed, session)) is not None:
        call.say(
            f"{task.name}: a network trained on samples of step {best.step} classifies "
            f"{100 * best.score:.2f} % of the validation split correctly"
        )


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("train_generator", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
