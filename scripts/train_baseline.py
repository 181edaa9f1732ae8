"""Train the task's network on the whole training set: the baseline that small sets are measured against.

With --part fit the validation split is left out and the network becomes a teacher: its logits and features for
every training member are kept for selectors, soft labels and distillation.
"""

import argparse
import sys
from collections.abc import Sequence

import stage
from call import Call
from ddcore.options import add_options, read_options
from ddcore.training import Baseline, publish, read_ledger, train_baseline


def options() -> argparse.ArgumentParser:
    parser = stage.parser(__doc__ or "", "train_baseline.py --dataset fashion_mnist --out runs/baseline")
    add_options(parser, Baseline)
    stage.add_ledger_options(parser)
    return parser


def work(call: Call) -> None:
    if call.args.ledger:
        read_ledger(call.args.ledger)
    how = read_options(call.args, Baseline)
    task = how.task_of(call.task)
    session = call.session(f"{task.name} {how.part}", tested=not how.teaches, profile=call.profile)
    if not call.finished(session) and (record := train_baseline(how, task, call.args.seed, session)):
        accuracy = record["nets"][how.net]["accuracy"]["mean"]
        call.say(f"{task.name} {record['protocol']['tested_on']} {100 * accuracy:.2f} %")
    if call.main and (line := publish(call.args.ledger, call.args.out, call.args.why)):
        call.say(line)


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("train_baseline", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
