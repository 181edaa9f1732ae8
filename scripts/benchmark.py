"""Measure the speed and memory of ddcore, beside the usual and the published implementations."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import stage
from call import Call
from ddcore.benchmarks import BENCHMARKS, append_rows
from ddcore.options import add_options, read_options
from ddcore.runtime import set_precision


def options() -> argparse.ArgumentParser:
    parser = stage.Parser(description=__doc__, epilog="example: benchmark.py unroll --out results/benchmarks.csv")
    commands = parser.add_subparsers(dest="benchmark", required=True, metavar="BENCHMARK")
    for name, benchmark in BENCHMARKS.items():
        command = commands.add_parser(name, help=benchmark.__doc__, description=benchmark.__doc__)
        add_options(command, benchmark)
        command.add_argument("--out", type=Path, help="CSV file to which the rows are added")
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        command.add_argument("--work", help=argparse.SUPPRESS)
        command.set_defaults(wait=30.0)
    return parser


def work(call: Call) -> None:
    args = call.args
    set_precision("ieee")  # a benchmark that times others says so in its rows
    benchmark = read_options(args, BENCHMARKS[args.benchmark])
    if args.work is not None:
        answer = benchmark.work(args.work, call.processes)
        if call.processes.is_main_process:
            print(json.dumps(answer))
        return
    for result in benchmark.results([__file__, args.benchmark, "--work"], call.processes.device):
        if args.out is not None and result.rows:
            append_rows(args.out, result.rows)
        print(result.text, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("benchmark", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
