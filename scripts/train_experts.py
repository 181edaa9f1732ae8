"""Train experts: networks whose trajectories through parameter space are recorded, for mtt to match.

They take plain steps of gradient descent on the members outside the validation split.
"""

import argparse
import sys
from collections.abc import Sequence

import stage
from ddcore.options import add_options, read_options
from ddcore.runtime import Session
from ddcore.training import ExpertOptions, train_experts


def options() -> argparse.ArgumentParser:
    parser = stage.parser(__doc__ or "", "train_experts.py --dataset fashion_mnist --experts 10 --out runs/experts")
    parser.add_argument("--experts", type=stage.positive, default=10, help="number of experts (default 10)")
    add_options(parser, ExpertOptions)
    return parser


def work(args: argparse.Namespace) -> None:
    accelerator = stage.open_accelerator()
    how = read_options(args, ExpertOptions)
    task = stage.open_task(args, accelerator)
    how.check(task)
    run = stage.open_run(args, accelerator)
    if run.finished:
        return stage.say(accelerator, f"{args.out} is finished")
    bar = stage.progress_bar(accelerator, f"{task.name} experts", run, ahead=True)
    session = Session(run, accelerator, quick=args.quick, progress=bar)
    accuracy = train_experts(how, args.experts, task, args.seed, session)
    if accuracy:
        mean = 100 * sum(accuracy) / len(accuracy)
        stage.say(accelerator, f"{len(accuracy)} experts on {task.name}, validation {mean:.2f} %: {args.out}")


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("train_experts", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
