"""Run the whole job, stage by stage: baselines, halves and small sets of Fashion-MNIST and IMDB, then the report.

--dataset runs the same stages on another data set, such as your own: images:DIR (one folder per class), text:FILE, or
hf:WHERE (a folder of the Hugging Face library, or a name on its Hub).
Run again with the same options, the job resumes: finished stages are skipped, an interrupted stage resumes from its
last checkpoint. The output of the stages is in OUT/logs.
"""

import begin  # noqa: F401  it says what a signal does from here on
import argparse
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

import stage
from call import Call
from ddcore.data import NAMES, data_folder, refuse_inside
from ddcore.errors import DDCoreError, require
from ddcore.job import DIGITS, FASHION_MNIST, IMDB, Choices, Job, Place, in_folder, plan_for, preview
from ddcore.options import positive, whole_number
from ddcore.runtime import available_cores, set_aside, show_warnings
from ddcore.training import LEDGER

ONLY = {"fmnist": FASHION_MNIST, "imdb": IMDB, "digits": DIGITS}


def options() -> argparse.ArgumentParser:
    parser = stage.Parser(prog="run_all.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=tuple(ONLY), help="one data set (default: fmnist and imdb)")
    parser.add_argument("--dataset", help=f"one other data set instead: {', '.join(NAMES)}")
    parser.add_argument(
        "--budget",
        type=positive,
        help="with --dataset: total members of the small set (default: 50 images or 125 texts per class, fewer if the "
        "classes are small)",
    )
    parser.add_argument("--profile", choices=("cpu", "gpu"), help="sizes and schedules (default: gpu if there is one)")
    parser.add_argument("--quick", action="store_true", help="every stage at toy size, in under 3 minutes")
    parser.add_argument("--list", action="store_true", help="show the stages with estimated time and disk, and exit")
    parser.add_argument("--dry-run", action="store_true", help="the same, with each stage's command line")
    parser.add_argument(
        "--data",
        type=Path,
        default=data_folder(),
        metavar="DIR",
        help="folder of the data sets (default: $DDCORE_DATA, otherwise ./data); missing ones are downloaded",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="the job's folder (default: runs/, with --quick runs/quick/)"
    )
    parser.add_argument(
        "--seeds",
        type=positive,
        metavar="K",
        help="K seeds everywhere, and all comparison rows (default: 1 for large sets, 3 for small ones)",
    )
    parser.add_argument("--seed", type=whole_number, default=0, metavar="N", help="seed of all draws (default 0)")
    parser.add_argument(
        "--ledger",
        nargs="?",
        const="",
        metavar="FILE",
        help="append every test score to this ledger, for scores that are published (without FILE: OUT/ledger.jsonl, "
        "from which the report counts the readings)",
    )
    parser.add_argument("--fresh", action="store_true", help="rename an existing --out and start over")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def work(call: Call) -> None:
    args = call.args
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # a closed terminal stops the job, except under nohup
        signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    profile = args.profile or ("gpu" if gpus else "cpu")
    require(profile == "cpu" or gpus > 0, "--profile gpu needs a GPU, and PyTorch finds none: leave it out")
    require(args.budget is None or args.dataset is not None, "--budget needs --dataset")
    require(args.only is None or args.dataset is None, "--only and --dataset cannot be combined")
    show_warnings()
    out = args.out or Path("runs/quick" if args.quick else "runs")
    if args.dataset:
        refuse_inside(args.dataset, out)
    plans = [ONLY[args.only]] if args.only else [FASHION_MNIST, IMDB]
    plans = [plan_for(args.dataset, args.budget)] if args.dataset else plans
    terminal = sys.stderr.fileno() if sys.stderr.isatty() else None
    place = in_folder(Place(out, args.data, available_cores(), gpus if profile == "gpu" else 0, terminal))
    if args.ledger is not None:
        place = replace(place, ledger=Path(args.ledger) if args.ledger else place.out / LEDGER)
    choices = Choices(profile, args.quick, args.seed, args.seeds, args.dataset, args.budget)
    say = partial(print, flush=True)
    if args.list or args.dry_run:  # never a look at what the folder holds
        say("\n".join(preview(plans, choices, place, commands=args.dry_run)))
        return
    if args.fresh and out.exists():
        say(f"put aside: {set_aside(out)}")
    if not Job(plans, choices, place, say).run():
        raise DDCoreError("the job is not complete (see above); the same command resumes it")


def main(argv: list[str] | None = None) -> int:
    return stage.run_program("run_job", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
