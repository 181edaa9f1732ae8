"""Check that a data set is there and readable; download it from its publisher if it isn't."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import stage
from ddcore.data import NAMES, load_task


def options() -> argparse.ArgumentParser:
    made = stage.Parser(description=__doc__, epilog="example: fetch_data.py --dataset imdb --data data")
    made.add_argument("--dataset", required=True, help=f"the data set: {', '.join(NAMES)}")
    made.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("DDCORE_DATA", "data")),
        help="folder of the data sets (default: $DDCORE_DATA, else ./data)",
    )
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return made


def work(args: argparse.Namespace) -> None:
    task = load_task(args.dataset, args.data)
    if task.content:  # the user's own: a broken file of the test part is better told now than after the training
        task.load_test()
    print(f"{task.source}: {len(task.train):,} training members, {len(task.classes)} classes")


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("fetch_data", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
