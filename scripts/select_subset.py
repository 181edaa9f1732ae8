"""Select real members of the training set: a coreset, with hard labels or a teacher's soft ones."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import stage
from ddcore.options import add_options, read_options
from ddcore.selection import SELECTORS, check_budget
from ddcore.sets import DistilledSet
from ddcore.synthesis import select
from ddcore.training import load_teacher


def options() -> argparse.ArgumentParser:
    made = stage.Parser(
        description=__doc__,
        epilog="example: select_subset.py k-means --dataset fashion_mnist --budget 600 --labels soft "
        "--teacher runs/teacher --out runs/kmeans",
    )
    commands = made.add_subparsers(dest="selector", required=True, metavar="SELECTOR")
    for name, selector in SELECTORS.items():
        summary = (selector.__doc__ or "").splitlines()[0]
        command = commands.add_parser(name, help=summary, description=selector.__doc__)
        stage.add_stage_options(command)
        command.add_argument("--budget", type=stage.positive, required=True, help="members in all")
        command.add_argument("--labels", choices=("hard", "soft"), default="hard", help="the data's, or a teacher's")
        command.add_argument("--temperature", type=float, default=2.0, help="of soft labels (default 2)")
        command.add_argument(
            "--teacher-share",
            type=float,
            default=1.0,
            help="how much of a soft label is the teacher's, not the data's (default 1)",
        )
        command.add_argument("--teacher", type=Path, help="run folder of train_baseline.py --part fit")
        command.add_argument(
            "--seeds",
            type=stage.positive,
            default=1,
            help="how many selections; more than one go to OUT/seed-0, OUT/seed-1 …",
        )
        add_options(command, selector)
    return made


def work(args: argparse.Namespace) -> None:
    accelerator = stage.open_accelerator()
    task = stage.open_task(args, accelerator)
    selector: Any = read_options(args, SELECTORS[args.selector])
    stage.require(task.kind in selector.kinds, f"selector '{args.selector}' does not read {task.kind}")
    stage.require(args.temperature > 0, f"--temperature {args.temperature} must be above 0")
    stage.require(0 <= args.teacher_share <= 1, f"--teacher-share {args.teacher_share} must be from 0 to 1")
    needed = selector.needs_teacher or args.labels == "soft"
    stage.require(args.teacher is not None or not needed, f"{args.selector} with {args.labels} labels needs --teacher")
    check_budget(args.budget, task, len(task.train), balanced=getattr(selector, "balanced", False))
    teacher = load_teacher(args.teacher, task) if args.teacher else None
    profile = stage.profile_of(args, accelerator)
    for seed in range(args.seed, args.seed + args.seeds):
        folder = args.out if args.seeds == 1 else args.out / f"seed-{seed}"
        run = stage.open_run(args, accelerator, folder, profile=profile, seed=seed)
        if run.finished:
            stage.say(accelerator, f"{folder} is finished")
            continue
        bar = stage.progress_bar(accelerator, args.selector, run)
        made = select(
            selector,
            args.selector,
            task,
            args.budget,
            args.labels,
            args.temperature,
            teacher,
            run,
            seed,
            accelerator,
            profile,
            args.quick,
            bar,
            args.teacher_share,
        )
        stage.say(accelerator, f"{len(made)} members of {task.name} by {args.selector}: {folder}")
        if "start_validation" in made.provenance:
            stage.say(accelerator, gain(made))


def gain(made: DistilledSet) -> str:
    """Return in words what a selector gained over the ranking it started from."""
    told = made.provenance
    after, before = 100 * told["validation"], 100 * told["start_validation"]
    return f"validation {after:.1f} % from {before:.1f} % of its starting ranking ({told['start']})"


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("select_subset", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
