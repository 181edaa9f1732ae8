"""Write the images of a distilled set as PNG files, one folder per class, and labels.csv beside them."""

import begin  # noqa: F401  it says what a signal does from here on
import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ddcore.errors import DDCoreError
from ddcore.runtime import set_aside
from ddcore.sets import DistilledSet, export_images


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="example: export_set.py --set results/fashion_mnist-600 --out images"
    )
    parser.add_argument("--set", type=Path, required=True, help="folder of the set")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files; empty, or not there")
    parser.add_argument("--fresh", action="store_true", help="put an earlier folder in --out aside first")
    args = parser.parse_args(argv)
    try:
        small = DistilledSet.load(args.set)
        if args.fresh and args.out.exists():
            set_aside(args.out)
        export_images(small, args.out)
    except DDCoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
