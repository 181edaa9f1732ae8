"""Write a distilled set as other tools read it: by default PNG files, one folder per class, and labels.csv."""

import begin  # noqa: F401  it says what a signal does from here on
import argparse
import sys
from pathlib import Path

import stage
from call import Call
from ddcore.data import load_tokeniser
from ddcore.errors import require
from ddcore.runtime import set_aside
from ddcore.sets import EXPORTED, FORMATS, DistilledSet, Notes, export_set, push_to_hub
from ddcore.training import score_rows


def options() -> argparse.ArgumentParser:
    parser = stage.Parser(
        description=__doc__, epilog="example: export_set.py --set results/fashion_mnist-600 --format mtt --out mtt"
    )
    parser.add_argument("--set", type=Path, required=True, help="folder of the set")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files; empty, or not there")
    parser.add_argument("--format", choices=EXPORTED, default="png", help="of the files (default png)")
    licence = "of the real data, for the dataset card of hf (default: the one that its publisher states)"
    parser.add_argument("--licence", metavar="NAME", default="", help=licence)
    scores = "scores.json of evaluate.py, for the dataset card of hf (default: the one beside the set, if it is there)"
    parser.add_argument("--scores", type=Path, metavar="FILE", help=scores)
    hub = "upload the folder of hf to the Hugging Face Hub, with the login of its library"
    parser.add_argument("--push-to-hub", metavar="NAME", default="", help=hub)
    parser.add_argument("--fresh", action="store_true", help="put an earlier folder in --out aside first")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def work(call: Call) -> None:
    args = call.args
    small = DistilledSet.load(args.set)
    described = FORMATS[args.format].describe is not None
    require(described or not args.push_to_hub, "--push-to-hub is for --format hf")
    beside = args.set / "scores.json"
    scores = args.scores or (beside if described and beside.is_file() else None)
    notes = Notes(args.licence, score_rows(scores) if scores else ())
    if args.fresh and args.out.exists():
        set_aside(args.out)
    tokeniser = args.set / "tokeniser.json"
    reader = load_tokeniser(tokeniser) if tokeniser.is_file() and not small.texts else None
    for line in export_set(small, args.out, args.format, notes, tokeniser=reader):
        print(line)
    if args.push_to_hub:
        print(f"uploaded to {push_to_hub(args.out, args.push_to_hub)}")


def main(argv: list[str] | None = None) -> int:
    return stage.run_program("export_set", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
