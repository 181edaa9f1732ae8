"""Compare ways to make a small set: the same time for each, the same evaluation for all, random members first."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import stage
from call import Call
from ddcore.comparison import NAMED, Comparison, Terms, entries, networks, readings_of, with_places
from ddcore.errors import DDCoreError, require
from ddcore.methods import METHODS
from ddcore.options import number, positive
from ddcore.problem import Problem
from ddcore.report import lines, write_comparison
from ddcore.runtime import Bar
from ddcore.selection import SELECTORS
from ddcore.training import DDCORE, append_readings, load_teacher, read_ledger

# A cell has those of these on record that it depends on. A run folder of earlier versions has no draws.
APART = ("methods", "whole", "experts", "generator")


def options() -> argparse.ArgumentParser:
    parser = stage.parser(
        __doc__ or "",
        "compare.py --dataset fashion_mnist --budget 500 --methods k-means,dm:moments=2,frepo --minutes 15 "
        "--teacher runs/teacher --whole --out runs/comparison",
    )
    parser.add_argument("--budget", type=positive, required=True, help="members of every set")
    parser.add_argument(
        "--methods",
        required=True,
        help="what to compare, with commas between, each with options of its own after colons, as in "
        "dm:moments=2:augment=flip,scale; labels=soft is an option of every selector. "
        f"Methods: {', '.join(METHODS)}; selectors: {', '.join(SELECTORS)}",
    )
    parser.add_argument(
        "--minutes",
        type=number,
        required=True,
        help="of each method, turned once into steps; selectors take what they take",
    )
    parser.add_argument("--teacher", type=Path, help="run folder of train_baseline.py --part fit, for soft labels")
    parser.add_argument("--experts", type=Path, help="folder of expert trajectories, for methods that follow them")
    parser.add_argument("--generator", type=Path, help="folder of a generator, for methods that draw from one")
    parser.add_argument(
        "--draws",
        type=positive,
        default=1,
        help="sets of each entry that draws at random, each from a seed of its own; from 2 on the tables have the "
        "spread between sets beside that between networks (default 1; 5 for figures to publish)",
    )
    parser.add_argument("--seeds", type=positive, default=3, help="fresh networks of each kind a set (default 3)")
    parser.add_argument(
        "--net", default="default", help="network that is trained on every set (default: the protocol's)"
    )
    parser.add_argument(
        "--protocol",
        choices=NAMED,
        default=DDCORE,
        help="how networks are trained on every set: by ddcore's default recipe or as a published evaluation does, see "
        "docs/protocols.md (default ddcore)",
    )
    parser.add_argument("--nets", default="", help="others that sets are carried over to (default: three usual ones)")
    parser.add_argument("--temperature", type=number, default=4.0, help="of the teacher's labels (default 4)")
    parser.add_argument(
        "--whole", action="store_true", help="also train one network on the whole training set, for HLR, alpha and LRS"
    )
    stage.add_ledger_options(parser)
    return parser


def work(call: Call) -> None:
    args = call.args
    if args.ledger:
        read_ledger(args.ledger)
    require(args.minutes > 0, f"--minutes {args.minutes} must be above 0")
    require(args.temperature > 0, f"--temperature {args.temperature} must be above 0")
    folders = {name: str(path) for name in ("experts", "generator") if (path := getattr(args, name)) is not None}
    asked, task = entries(args.methods, folders), call.task
    net, others = networks(task, args.net, args.nets, args.protocol)
    teacher = load_teacher(args.teacher, task) if args.teacher else None
    problem = Problem(task, args.budget, task.fit, teacher, args.seed, call.processes.device)
    apart = APART if args.draws > 1 else (*APART, "draws")
    session = call.session("", apart=apart, tested=True, profile=call.profile, net=net, nets=list(others))
    if session.main:
        (session.folder / "done").unlink(missing_ok=True)
    terms = Terms(
        *(problem, args.minutes, net, others, args.seeds, args.temperature, call.profile, args.quick, args.draws),
        args.protocol,
    )
    comparison = Comparison(
        terms, session, lambda title, cell: Bar(title, replace(session, run=call.tracked(cell), progress=None))
    )
    record = {**comparison.run(asked, args.whole), "command": f"python {call.command}"}
    if not session.main:
        return
    if args.ledger:
        readings = readings_of(record, args.why)
        call.say(f"{args.ledger}: {append_readings(args.ledger, readings)} of {len(readings)} test readings are new")
        record = with_places(record, read_ledger(args.ledger))
    for title, table in write_comparison(record, args.out):
        call.say("\n".join([f"\n{title}", *lines(table)]))
    call.say(f"\n{args.out / 'comparison.md'}")
    if record["failed"]:
        raise DDCoreError(f"the table is there, but {'; '.join(record['failed'].values())}")
    session.finish({"cells": len(record["cells"])})


def main(argv: list[str] | None = None) -> int:
    return stage.run_program("compare", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
