"""Compile every Triton kernel for the GPUs that ddcore supports, without a GPU, and list the resources of each."""

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from tqdm import tqdm

import stage
from call import Call
from ddcore.errors import DDCoreError, require
from ddcore.kernels.builds import TARGETS, Resources, builds, compiled
from ddcore.options import positive
from ddcore.runtime import write_atomic


def options() -> argparse.ArgumentParser:
    parser = stage.Parser(description=__doc__, epilog="example: compile_kernels.py --out results/kernels.csv")
    parser.add_argument("--out", type=Path, required=True, help="CSV file to write")
    parser.add_argument(
        "--targets", type=positive, nargs="+", default=list(TARGETS), choices=TARGETS, help="compute capabilities"
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def work(call: Call) -> None:
    args = call.args
    pairs = [(build, target) for build in builds() for target in args.targets]
    resources = [compiled(*pair) for pair in tqdm(pairs, desc="compiling", disable=None, leave=False)]
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Resources)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(each) for each in resources)
    write_atomic(args.out, text.getvalue().encode())
    spilling = [
        f"{each.kernel} ({each.case}, {each.target})" for each in resources if each.spill_bytes or each.stack_bytes
    ]
    require(not spilling, f"these kernels spill registers: {', '.join(spilling)}", DDCoreError)
    print(
        f"{len(resources)} kernels compiled, none spills; most registers: {max(each.registers for each in resources)}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("compile_kernels", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
