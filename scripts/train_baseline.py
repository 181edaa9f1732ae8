"""Train the task's network on the whole training set: the baseline that small sets are measured against.

With --part fit the validation split is left out and the network becomes a teacher: its logits and features for
every training member are kept for selectors, soft labels and distillation.
"""

import argparse
import sys
from collections.abc import Sequence

import stage
from ddcore.options import add_options, read_options
from ddcore.runtime import Session
from ddcore.training import Baseline, train_baseline


def options() -> argparse.ArgumentParser:
    parser = stage.parser(__doc__ or "", "train_baseline.py --dataset fashion_mnist --out runs/baseline")
    add_options(parser, Baseline)
    return parser


def work(args: argparse.Namespace) -> None:
    accelerator = stage.open_accelerator()
    how = read_options(args, Baseline)
    task = how.task_of(stage.open_task(args, accelerator))
    profile = stage.profile_of(args, accelerator)
    run = stage.open_run(args, accelerator, profile=profile)
    if run.finished:
        return stage.say(accelerator, f"{args.out} is finished")
    bar = stage.progress_bar(accelerator, f"{task.name} {how.part}", run, ahead=True)
    record = train_baseline(how, task, args.seed, Session(run, accelerator, profile, args.quick, bar))
    if record:
        accuracy = record["nets"][how.net]["accuracy"]["mean"]
        stage.say(accelerator, f"{task.name} {record['protocol']['tested_on']} {100 * accuracy:.2f} %")


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("train_baseline", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
