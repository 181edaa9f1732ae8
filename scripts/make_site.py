"""Build a site of the README, the pages in docs/, the reports in results/ and a reference made from docstrings."""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import stage
from call import Call
from ddcore.errors import DDCoreError, require
from ddcore.report import write_site

ROOT = Path(__file__).parents[1]


def options() -> argparse.ArgumentParser:
    parser = stage.Parser(description=__doc__, epilog="example: make_site.py --out site")
    parser.add_argument("--out", type=Path, required=True, help="folder for the site, which must not be there")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def work(call: Call) -> None:
    out = call.args.out
    require(not out.exists(), f"{out} is there: remove it, or name another folder")
    for package in ("zensical", "mkdocstrings"):
        require(find_spec(package) is not None, f"the package {package} is missing: pip install 'ddcore[dev]'")
    with tempfile.TemporaryDirectory() as folder:
        config = write_site(ROOT, Path(folder))
        words = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(config)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stdout, done.stderr)
            raise DDCoreError("the pages have faults, which the lines above name")
        shutil.copytree(Path(folder) / "site", out)
    print(f"{out / 'index.html'}: {len(list(out.rglob('*.html')))} pages")


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("make_site", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
