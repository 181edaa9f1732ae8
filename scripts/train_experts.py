"""Train experts: networks whose trajectories through parameter space are recorded, for mtt to match.

They take plain steps of gradient descent on the members outside the validation split.
"""

import argparse
import sys
from collections.abc import Sequence

import stage
from call import Call
from ddcore.options import add_options, positive, read_options
from ddcore.training import ExpertOptions, train_experts


def options() -> argparse.ArgumentParser:
    parser = stage.parser(__doc__ or "", "train_experts.py --dataset fashion_mnist --experts 10 --out runs/experts")
    parser.add_argument("--experts", type=positive, default=10, help="number of experts (default 10)")
    add_options(parser, ExpertOptions)
    return parser


def work(call: Call) -> None:
    how, task = read_options(call.args, ExpertOptions), call.task
    how.check(task)
    session = call.session(f"{task.name} experts")
    if not call.finished(session) and (
        accuracy := train_experts(how, call.args.experts, task, call.args.seed, session)
    ):
        mean = 100 * sum(accuracy) / len(accuracy)
        call.say(f"{len(accuracy)} experts on {task.name}, validation {mean:.2f} %: {session.folder}")


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("train_experts", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
