"""Check that a data set is present and readable; otherwise download it from its publisher."""

import argparse
import sys
from pathlib import Path

import stage
from call import Call
from ddcore.data import NAMES, data_folder, load_task
from ddcore.runtime import show_warnings, write_json
from ddcore.training import inputs_of


def options() -> argparse.ArgumentParser:
    parser = stage.Parser(description=__doc__, epilog="example: fetch_data.py --dataset imdb --data data")
    parser.add_argument("--dataset", required=True, help=f"the data set: {', '.join(NAMES)}")
    parser.add_argument(
        "--data",
        type=Path,
        default=data_folder(),
        help="folder of the data sets (default: $DDCORE_DATA, otherwise ./data)",
    )
    parser.add_argument("--record", type=Path, help="JSON file to write digests of the data to, for a job")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def work(call: Call) -> None:
    args = call.args
    show_warnings()
    task = load_task(args.dataset, args.data)
    if task.content:  # the user's own: report a broken file of the test set before the training
        task.load_test()
    if args.record is not None:
        write_json(args.record, inputs_of(task, {}, tested=True))
    print(f"{task.source}: {len(task.train):,} training members, {len(task.classes)} classes")


def main(argv: list[str] | None = None) -> int:
    return stage.run_program("fetch_data", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
