"""Synthesise a small training set from a real one."""

import argparse
import sys
from collections.abc import Sequence

import stage
from call import Call
from ddcore import distill
from ddcore.api import problem_of
from ddcore.errors import require
from ddcore.methods import METHODS
from ddcore.options import add_options, flat, number, read_options, whole_number
from ddcore.runtime import Interval, set_precision
from ddcore.synthesis import forget_checkpoint

# When checkpoints are written does not decide the result.
APART = ("checkpoint_minutes", "checkpoint_steps")
PRESET_HELP = "options as in the paper's code, see the method's page in docs/; options that are typed win"


def options() -> argparse.ArgumentParser:
    parser = stage.Parser(
        description=__doc__,
        epilog="example: distill.py frepo --dataset fashion_mnist --budget 600 --teacher runs/teacher --out runs/frepo",
    )
    commands = parser.add_subparsers(dest="method", required=True, metavar="METHOD")
    for name, method in METHODS.items():
        summary = (method.__doc__ or "").splitlines()[0]
        command = commands.add_parser(name, help=summary, description=method.__doc__)
        stage.add_set_options(command)
        command.add_argument(
            "--checkpoint-minutes",
            type=number,
            default=Interval.minutes,
            metavar="M",
            help="between checkpoints, or longer where writing one takes more than 2 %% of them "
            f"(default {Interval.minutes})",
        )
        command.add_argument(
            "--checkpoint-steps",
            type=whole_number,
            default=0,
            metavar="K",
            help="also after so many steps, whatever it costs (default 0: by the clock)",
        )
        if method.presets:
            command.add_argument("--preset", choices=list(method.presets), help=PRESET_HELP)
        add_options(command, method, filled=False)
    return parser


def work(call: Call) -> None:
    args = call.args
    require(args.checkpoint_minutes >= 0, f"--checkpoint-minutes {args.checkpoint_minutes} is no time")
    kind, preset = METHODS[args.method], getattr(args, "preset", None)
    method = read_options(args, kind, kind.preset(preset, call.task, args.budget) if preset else None)
    vars(args).update(flat(method))
    set_precision(args.precision or method.precision, "distill")
    problem = problem_of(call.task, args.budget, method, args.teacher)
    interval = Interval(args.checkpoint_minutes, args.checkpoint_steps)
    for seed, session in call.sessions(args.method, APART, interval):
        if call.finished(session):
            forget_checkpoint(session)
            continue
        small = distill(call.task, args.budget, method, teacher=problem.teacher, seed=seed, out=session)
        stored = f", decoded from {args.budget} stored images" if small.origin.factor > 1 else ""
        call.say(f"{len(small)} members of {call.task.name} by {args.method}{stored}: {session.folder}")


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("distill", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
