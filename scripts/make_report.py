"""Write a report on finished runs: one HTML page, its Markdown twin, and the README's table of results."""

import argparse
import sys
from pathlib import Path

import stage
from call import Call
from ddcore.errors import DDCoreError, require
from ddcore.report import make_report


def options() -> argparse.ArgumentParser:
    parser = stage.Parser(description=__doc__, epilog="example: make_report.py runs --out runs/report")
    parser.add_argument(
        "folders",
        type=Path,
        nargs="+",
        metavar="RUN_DIR",
        help="the folder of a whole job (with job.json), run folders with scores.json, or the folder of "
        "an earlier report, to write it again from its records.json",
    )
    parser.add_argument("--out", type=Path, help="the report's folder (default: report/ in the first RUN_DIR)")
    parser.add_argument("--readme", type=Path, help="a page whose part <!-- results: OUT --> is updated")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def work(call: Call) -> None:
    args = call.args
    earlier = (args.folders[0] / "records.json").exists() and not (args.folders[0] / "job.json").exists()
    out = args.out or (args.folders[0] if earlier else args.folders[0] / "report")
    problems = make_report(args.folders, out, args.readme)
    print(f"report: {out / 'report.html'}")
    require(
        not problems,
        f"the report is written, but leaves out {len(problems)} of its sources: {'; '.join(problems)}",
        DDCoreError,
    )


def main(argv: list[str] | None = None) -> int:
    return stage.run_program("make_report", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
