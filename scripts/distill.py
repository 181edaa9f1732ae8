"""Synthesise a small training set from a real one."""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import stage
from ddcore.methods import METHODS
from ddcore.options import add_options, read_options
from ddcore.runtime import Interval
from ddcore.selection import check_budget
from ddcore.synthesis import GradientMethod, StagedMethod, forget_checkpoint, synthesise
from ddcore.training import load_teacher

# When checkpoints are written does not decide the result.
APART = ("checkpoint_minutes", "checkpoint_steps")


def options() -> argparse.ArgumentParser:
    made = stage.Parser(
        description=__doc__,
        epilog="example: distill.py frepo --dataset fashion_mnist --budget 600 --teacher runs/teacher --out runs/frepo",
    )
    commands = made.add_subparsers(dest="method", required=True, metavar="METHOD")
    for name, method in METHODS.items():
        summary = (method.__doc__ or "").splitlines()[0]
        command = commands.add_parser(name, help=summary, description=method.__doc__)
        stage.add_stage_options(command)
        command.add_argument("--budget", type=stage.positive, required=True, help="members in all")
        command.add_argument("--teacher", type=Path, help="run folder of train_baseline.py --part fit")
        command.add_argument(
            "--seeds",
            type=stage.positive,
            default=1,
            help="how many sets; more than one go to OUT/seed-0, OUT/seed-1 …",
        )
        command.add_argument(
            "--checkpoint-minutes",
            type=float,
            default=Interval.minutes,
            metavar="M",
            help="between checkpoints, or longer where writing one takes more than 2 %% of them "
            f"(default {Interval.minutes})",
        )
        command.add_argument(
            "--checkpoint-steps",
            type=stage.whole_number,
            default=0,
            metavar="K",
            help="also after so many steps, whatever it costs (default 0: by the clock)",
        )
        add_options(command, method)
    return made


def work(args: argparse.Namespace) -> None:
    accelerator = stage.open_accelerator()
    stage.require(0 <= args.checkpoint_minutes < math.inf, f"--checkpoint-minutes {args.checkpoint_minutes} is no time")
    task = stage.open_task(args, accelerator)
    method: Any = read_options(args, METHODS[args.method])
    if args.quick and isinstance(method, GradientMethod | StagedMethod):
        method = method.quick()
    stage.require(task.kind in method.kinds, f"method '{args.method}' does not read {task.kind}")
    stage.require(args.teacher is not None or not method.needs_teacher, f"{args.method} needs --teacher RUN_DIR")
    check_budget(args.budget, task, len(task.fit), balanced=True)
    teacher = load_teacher(args.teacher, task) if args.teacher else None
    profile = stage.profile_of(args, accelerator)
    for seed in range(args.seed, args.seed + args.seeds):
        folder = args.out if args.seeds == 1 else args.out / f"seed-{seed}"
        run = stage.open_run(args, accelerator, folder, apart=APART, profile=profile, seed=seed)
        run.interval = Interval(args.checkpoint_minutes, args.checkpoint_steps)
        if run.finished:
            forget_checkpoint(run)
            stage.say(accelerator, f"{folder} is finished")
            continue
        bar = stage.progress_bar(accelerator, args.method, run)
        made = synthesise(
            method,
            args.method,
            task,
            args.budget,
            teacher,
            run,
            seed,
            accelerator,
            profile,
            args.quick,
            bar,
            lambda line: stage.say(accelerator, line),
        )
        stage.say(accelerator, f"{len(made)} members of {task.name} by {args.method}: {folder}")


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("distill", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
