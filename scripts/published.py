"""Repeat a published figure: make sets as the paper does, in minutes, and judge them as it does."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import stage
from call import Call
from ddcore.comparison import PUBLISHED_CELLS, run_cell
from ddcore.errors import require
from ddcore.options import positive
from ddcore.report import published_record
from ddcore.runtime import set_precision, write_json
from ddcore.training import publish, read_ledger


def options() -> argparse.ArgumentParser:
    parser = stage.parser(
        __doc__ or "",
        "published.py --cell fashion_mnist-1-dc --dataset fashion_mnist --out runs/published/fashion_mnist-1-dc "
        "--record results/published",
    )
    parser.add_argument(
        "--cell", required=True, choices=list(PUBLISHED_CELLS), help="data set, images per class, method"
    )
    parser.add_argument("--steps", type=positive, help="outer steps (default: the cell's, for one core)")
    parser.add_argument("--real-batch", type=positive, help="real members per step (default: the cell's)")
    parser.add_argument("--record", type=Path, metavar="DIR", help="also write the cell's record into this folder")
    stage.add_ledger_options(parser)
    return parser


def repeated(args: argparse.Namespace) -> str:
    """Return the command that makes a record again, with the folders of the repository."""
    size = f"-{args.steps}" if args.steps else ""
    typed = {name: getattr(args, name) for name in ("profile", "precision", "steps", "real_batch")}
    words = [f" --{name.replace('_', '-')} {value}" for name, value in typed.items() if value is not None]
    out = f"runs/published/{args.cell}{size}"
    head = f"python scripts/published.py --cell {args.cell} --dataset {args.dataset}{''.join(words)}"
    return f"{head} --out {out} --record results/published"


def work(call: Call) -> None:
    args = call.args
    if args.ledger:
        read_ledger(args.ledger)
    cell = PUBLISHED_CELLS[args.cell]
    require(args.dataset == cell.dataset, f"--cell {cell.name} needs --dataset {cell.dataset}")
    set_precision(args.precision or "ieee", "published")
    session = call.session(cell.name, apart=("record",), tested=True, profile=call.profile)
    record = run_cell(cell.resized(args.steps, args.real_batch), call.task, session)
    if not session.main:
        return
    record = published_record(record, repeated(args))
    write_json(session.folder / "record.json", record)
    if args.record and not args.quick:
        size = f"-{args.steps}" if args.steps else ""
        write_json(args.record / f"{cell.name}{size}.json", record)
    if line := publish(args.ledger, session.folder / "evaluation", args.why):
        call.say(line)
    reached, figure = record["accuracy"]["mean"], record["published"]["accuracy"]
    call.say(f"{cell.name}: {100 * reached:.2f} %, published {figure:.1f} %, {cell.protocol} protocol")
    if not session.finished:
        session.finish({"accuracy": reached})


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("published", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
