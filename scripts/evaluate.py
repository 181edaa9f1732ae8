"""Train fresh networks on a set and test them on the real test set: several networks, several seeds."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import stage
from ddcore.options import add_options, read_options
from ddcore.runtime import Session
from ddcore.sets import load_sets
from ddcore.training import Evaluation, evaluation_of


def options() -> argparse.ArgumentParser:
    parser = stage.parser(
        __doc__ or "", "evaluate.py --dataset fashion_mnist --set runs/small --nets default,convnet --out runs/eval"
    )
    parser.add_argument(
        "--set", type=Path, required=True, help="folder of a set; a folder of seed-0, seed-1 … pools the sets in it"
    )
    add_options(parser, Evaluation)
    return parser


def work(args: argparse.Namespace) -> None:
    accelerator = stage.open_accelerator()
    how = read_options(args, Evaluation)
    task = stage.open_task(args, accelerator)
    evaluation = evaluation_of(how, load_sets(args.set, task.name), task, args.seed, args.set)
    profile = stage.profile_of(args, accelerator)
    run = stage.open_run(args, accelerator, profile=profile)
    if run.finished:
        return stage.say(accelerator, f"{args.out} is finished")
    bar = stage.progress_bar(accelerator, f"{task.name} {args.set.name}", run, ahead=True)
    record = evaluation.run(Session(run, accelerator, profile, args.quick, bar))
    for line in evaluation.lines(record):
        stage.say(accelerator, line)


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("evaluate", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
