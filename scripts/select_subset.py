"""Select real members of the training set: a coreset, with hard labels or a teacher's soft ones."""

import argparse
import sys
from collections.abc import Sequence

import stage
from call import Call
from ddcore import DistilledSet, select
from ddcore.api import problem_of
from ddcore.options import add_options, read_options
from ddcore.selection import SELECTORS


def options() -> argparse.ArgumentParser:
    parser = stage.Parser(
        description=__doc__,
        epilog="example: select_subset.py k-means --dataset fashion_mnist --budget 600 --labels soft "
        "--teacher runs/teacher --out runs/kmeans",
    )
    commands = parser.add_subparsers(dest="selector", required=True, metavar="SELECTOR")
    for name, selector in SELECTORS.items():
        summary = (selector.__doc__ or "").splitlines()[0]
        command = commands.add_parser(name, help=summary, description=selector.__doc__)
        stage.add_set_options(command)
        add_options(command, selector)
    return parser


def work(call: Call) -> None:
    args = call.args
    selector = read_options(args, SELECTORS[args.selector])
    problem = problem_of(call.task, args.budget, selector, args.teacher)
    for seed, session in call.sessions(args.selector):
        if call.finished(session):
            continue
        small = select(call.task, args.budget, selector, teacher=problem.teacher, seed=seed, out=session)
        tiles = f", {small.origin.tiles**2} small images in each," if small.origin.tiles > 1 else ""
        call.say(f"{len(small)} members of {call.task.name} by {args.selector}{tiles}: {session.folder}")
        if "start_validation" in small.provenance:
            call.say(gain(small))


def gain(small: DistilledSet) -> str:
    """Return in words what a selector gained over the ranking it started from."""
    notes = small.provenance
    after, before = 100 * notes["validation"], 100 * notes["start_validation"]
    return f"validation {after:.1f} % from {before:.1f} % of its starting ranking ({notes['start']})"


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("select_subset", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
