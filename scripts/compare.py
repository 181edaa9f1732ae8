"""Compare ways to make a small set: the same time for each, the same evaluation for all, random members first."""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import stage
from ddcore.comparison import Comparison, Terms, networks, ways
from ddcore.errors import DDCoreError
from ddcore.methods import METHODS
from ddcore.report import lines, write_comparison
from ddcore.selection import SELECTORS
from ddcore.training import load_teacher

# A cell has those of these on record that it depends on.
APART = ("methods", "whole", "experts", "generator")


def options() -> argparse.ArgumentParser:
    made = stage.parser(
        __doc__ or "",
        "compare.py --dataset fashion_mnist --budget 500 --methods k-means,dm:moments=2,frepo --minutes 15 "
        "--teacher runs/teacher --whole --out runs/comparison",
    )
    made.add_argument("--budget", type=stage.positive, required=True, help="members of every set")
    made.add_argument(
        "--methods",
        required=True,
        help="what to compare, with commas between, each with options of its own after colons, as in "
        "dm:moments=2:augment=flip,scale; labels=soft is an option of every selector. "
        f"Methods: {', '.join(METHODS)}; selectors: {', '.join(SELECTORS)}",
    )
    made.add_argument(
        "--minutes",
        type=float,
        required=True,
        help="of each method, turned once into steps; selectors take what they take",
    )
    made.add_argument("--teacher", type=Path, help="run folder of train_baseline.py --part fit, for soft labels")
    made.add_argument("--experts", type=Path, help="folder of expert trajectories, for methods that follow them")
    made.add_argument("--generator", type=Path, help="folder of a generator, for methods that draw from one")
    made.add_argument("--seeds", type=stage.positive, default=3, help="fresh networks of each kind a set (default 3)")
    made.add_argument("--net", default="default", help="network that is trained on every set (default: the data's own)")
    made.add_argument("--nets", default="", help="others that sets are carried over to (default: three usual ones)")
    made.add_argument("--temperature", type=float, default=4.0, help="of the teacher's labels (default 4)")
    made.add_argument(
        "--whole", action="store_true", help="also train one network on the whole training set, for HLR, alpha and LRS"
    )
    return made


def work(args: argparse.Namespace) -> None:
    accelerator = stage.open_accelerator()
    stage.require(0 < args.minutes < math.inf, f"--minutes {args.minutes} must be above 0")
    stage.require(0 < args.temperature < math.inf, f"--temperature {args.temperature} must be above 0")
    folders = {name: str(path) for name in ("experts", "generator") if (path := getattr(args, name)) is not None}
    asked = ways(args.methods, folders)
    task = stage.open_task(args, accelerator)
    net, others = networks(task, args.net, args.nets)
    teacher = load_teacher(args.teacher, task) if args.teacher else None
    profile = stage.profile_of(args, accelerator)
    run = stage.open_run(args, accelerator, apart=APART, profile=profile, net=net, nets=list(others))
    if accelerator.is_main_process:
        (run.folder / "done").unlink(missing_ok=True)
    terms = Terms(
        task,
        args.budget,
        args.minutes,
        net,
        others,
        args.seed,
        args.seeds,
        args.temperature,
        teacher,
        args.teacher,
        profile,
        args.quick,
    )
    comparison = Comparison(
        terms,
        args.out,
        accelerator,
        lambda line: stage.say(accelerator, line),
        lambda title, cell: stage.progress_bar(accelerator, title, stage.tracked(args, cell)),
    )
    record = {**comparison.run(asked, args.whole), "command": f"python {args.command}"}
    if not accelerator.is_main_process:
        return
    for title, table in write_comparison(record, args.out):
        stage.say(accelerator, "\n".join([f"\n{title}", *lines(table)]))
    stage.say(accelerator, f"\n{args.out / 'comparison.md'}")
    if record["failed"]:
        raise DDCoreError(f"the table is there, but {'; '.join(record['failed'].values())}")
    run.finish({"cells": len(record["cells"])})


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("compare", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
