"""Compile every Triton kernel for the GPUs that ddcore is built for, which needs no GPU, and list what each takes."""

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from tqdm import tqdm

import stage
from ddcore.errors import DDCoreError
from ddcore.runtime import write_atomic
from kernels.builds import TARGETS, Resources, builds, compiled


def options() -> argparse.ArgumentParser:
    made = stage.Parser(description=__doc__, epilog="example: compile_kernels.py --out results/kernels.csv")
    made.add_argument("--out", type=Path, required=True, help="CSV file to write")
    made.add_argument(
        "--targets", type=stage.positive, nargs="+", default=list(TARGETS), choices=TARGETS, help="compute capabilities"
    )
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return made


def work(args: argparse.Namespace) -> None:
    wanted = [(build, target) for build in builds() for target in args.targets]
    taken = [compiled(*each) for each in tqdm(wanted, desc="compiling", disable=None, leave=False)]
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Resources)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(one) for one in taken)
    write_atomic(args.out, text.getvalue().encode())
    spilling = [f"{one.kernel} ({one.case}, {one.target})" for one in taken if one.spill_bytes or one.stack_bytes]
    if spilling:
        raise DDCoreError(f"these kernels spill registers: {', '.join(spilling)}")
    print(f"{len(taken)} kernels compiled, none spills; most registers: {max(one.registers for one in taken)}")


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("compile_kernels", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
