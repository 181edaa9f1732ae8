"""Train fresh networks on a set and test them on the real test set: several networks, several seeds."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import stage
from call import Call
from ddcore.options import add_options, read_options
from ddcore.sets import load_sets
from ddcore.training import Evaluation, evaluation_of, publish, read_ledger


def options() -> argparse.ArgumentParser:
    parser = stage.parser(
        __doc__ or "", "evaluate.py --dataset fashion_mnist --set runs/small --nets default,convnet --out runs/eval"
    )
    parser.add_argument(
        "--set", type=Path, required=True, help="folder of a set; a folder of seed-0, seed-1 … pools the sets in it"
    )
    add_options(parser, Evaluation)
    stage.add_ledger_options(parser)
    return parser


def work(call: Call) -> None:
    if call.args.ledger:
        read_ledger(call.args.ledger)
    how, task, source = read_options(call.args, Evaluation), call.task, call.args.set
    evaluation = evaluation_of(how, load_sets(source), task, call.args.seed, source)
    session = call.session(f"{task.name} {source.name}", tested=True, profile=call.profile)
    if not call.finished(session):
        for line in evaluation.lines(evaluation.run(session)):
            call.say(line)
    if call.main and (line := publish(call.args.ledger, call.args.out, call.args.why)):
        call.say(line)


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("evaluate", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
