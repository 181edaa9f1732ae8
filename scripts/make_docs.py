"""Write the generated parts of the README and the pages in docs/: options of methods, figures, tables from files."""

import argparse
import sys
from pathlib import Path

import stage
from call import Call
from ddcore.errors import DDCoreError, require
from ddcore.methods import METHODS
from ddcore.report import with_parts
from ddcore.runtime import write_atomic
from ddcore.selection import SELECTORS

ROOT = Path(__file__).parents[1]


def options() -> argparse.ArgumentParser:
    parser = stage.Parser(description=__doc__, epilog="example: make_docs.py")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is out of date")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="folder of the pages (default: docs/)")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def work(call: Call) -> None:
    args = call.args
    stale = []
    for page in [*sorted(args.docs.glob("*.md")), *args.docs.parent.glob("README.md")]:
        text = page.read_text(encoding="utf-8")
        try:
            current = with_parts(text, {**METHODS, **SELECTORS}, args.docs.parent, draw=not args.check)
        except DDCoreError as error:
            raise DDCoreError(f"{page}: {error}") from error
        if current != text:
            stale.append(page.name)
            if not args.check:
                write_atomic(page, current.encode())
    require(not stale or not args.check, f"not up to date: {', '.join(stale)}; run scripts/make_docs.py", DDCoreError)
    print(f"{'written' if stale else 'up to date'}: {', '.join(stale) or args.docs}")


def main(argv: list[str] | None = None) -> int:
    return stage.run_program("make_docs", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
