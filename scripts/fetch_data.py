"""Check that a data set is present and readable; otherwise download it from its publisher.

The pixels of large sets of images are kept in the cache folder; --cache lists them, --forget removes them.
"""

import argparse
import sys
from pathlib import Path

import stage
from call import Call
from ddcore.data import NAMES, data_folder, forget, kept, load_task, pixel_folder
from ddcore.runtime import Session, in_words, show_warnings, shown, write_json
from ddcore.training import inputs_of


def options() -> argparse.ArgumentParser:
    parser = stage.Parser(description=__doc__, epilog="example: fetch_data.py --dataset imdb --data data")
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--dataset", help=f"the data set: {', '.join(NAMES)}")
    wanted.add_argument("--cache", action="store_true", help="list the pixels that are kept of large sets of images")
    wanted.add_argument("--forget", metavar="NAME", help="remove what --cache lists under this name")
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
    if args.cache:
        for each in kept():
            print(f"{each.name}: {each.what}, {in_words(each.bytes)}")
        print(f"in {pixel_folder()}; --forget NAME removes one of them")
        return
    if args.forget is not None:
        print(f"removed {args.forget}: {in_words(forget(args.forget))}")
        return
    task = load_task(args.dataset, args.data, shown("images", Session(say=print)))
    if task.content:  # the user's own: report a broken file of the test set before the training
        task.load_test()
    if args.record is not None:
        write_json(args.record, inputs_of(task, {}, tested=True))
    print(f"{task.source}: {len(task.train):,} training members, {len(task.classes)} classes")


def main(argv: list[str] | None = None) -> int:
    return stage.run_program("fetch_data", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
