"""Make a report out of finished runs: one HTML page, its Markdown twin, and the README's table of results."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import stage
from ddcore.errors import DDCoreError
from ddcore.report import make_report


def options() -> argparse.ArgumentParser:
    made = stage.Parser(description=__doc__, epilog="example: make_report.py runs --out runs/report")
    made.add_argument(
        "folders",
        type=Path,
        nargs="+",
        metavar="RUN_DIR",
        help="the folder of a whole job (with job.json), run folders with scores.json, or the folder of "
        "an earlier report, to write it anew from its records.json",
    )
    made.add_argument("--out", type=Path, help="the report's folder (default: report/ in the first RUN_DIR)")
    made.add_argument("--readme", type=Path, help="a README whose table of results is to be written anew")
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return made


def work(args: argparse.Namespace) -> None:
    earlier = (args.folders[0] / "records.json").exists() and not (args.folders[0] / "job.json").exists()
    out = args.out or (args.folders[0] if earlier else args.folders[0] / "report")
    problems = make_report(args.folders, out, args.readme)
    print(f"report: {out / 'report.html'}")
    if problems:
        raise DDCoreError(f"the report is there, but it could not read {len(problems)} file(s): {'; '.join(problems)}")


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("make_report", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
