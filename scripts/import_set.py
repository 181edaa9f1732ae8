"""Read a distilled set of another tool: DC, MTT, DATM, IDC, KIP, folders of images, the Hugging Face Hub and others."""

import begin  # noqa: F401  it says what a signal does from here on
import argparse
import sys
from pathlib import Path

import stage
from call import Call
from ddcore.data import NAMES, data_folder, load_task, refuse_inside
from ddcore.options import positive
from ddcore.runtime import check_empty, set_aside
from ddcore.sets import IMPORTED, NORMALISATIONS, Details, import_set, write_views


def options() -> argparse.ArgumentParser:
    parser = stage.Parser(
        description=__doc__,
        epilog="example: import_set.py res_DSA_MNIST_ConvNet_1ipc.pt --dataset mnist --out runs/dsa",
    )
    parser.add_argument("path", type=Path, help="file or folder of the other tool")
    parser.add_argument("--format", choices=IMPORTED, default="", help="its format (default: guessed from the names)")
    parser.add_argument("--dataset", required=True, help=f"the real data set: {', '.join(NAMES)}")
    where = "folder of the data sets (default: $DDCORE_DATA, otherwise ./data)"
    parser.add_argument("--data", type=Path, default=data_folder(), help=where)
    parser.add_argument("--out", type=Path, required=True, help="folder for the set; empty, or not there")
    scale = f"of float images: {', '.join(NORMALISATIONS)}, or MEAN,STD (default: the format's)"
    parser.add_argument("--normalisation", metavar="NAME", default="", help=scale)
    whitening = "file of the ZCA whitening of the images, which is undone: mean_vector and transform_inv"
    parser.add_argument("--zca", type=Path, metavar="FILE", help=whitening)
    names = "names of the class numbers in the file's order, with commas between (default: as the data set)"
    parser.add_argument("--classes", metavar="NAMES", default="", help=names)
    tiles = "tiles per side of each stored image, of idc (default 1)"
    parser.add_argument("--factor", type=positive, default=1, help=tiles)
    parser.add_argument("--fresh", action="store_true", help="put an earlier folder in --out aside first")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def work(call: Call) -> None:
    args = call.args
    refuse_inside(args.dataset, args.out)
    if not args.fresh:
        check_empty(args.out, "choose another --out, or --fresh to put it aside")
    task = load_task(args.dataset, args.data)
    classes = tuple(args.classes.split(",")) if args.classes else ()
    imported = import_set(args.path, Details(task, args.normalisation, args.zca, classes, args.factor), args.format)
    if args.fresh and args.out.exists():
        set_aside(args.out)
    imported.small.save(args.out)
    write_views(imported.small, args.out, task.tokeniser)
    for line in imported.lines:
        print(line)
    print(f"saved in {args.out}; evaluate it with: python scripts/evaluate.py {task.flag} --set {args.out} --out …")


def main(argv: list[str] | None = None) -> int:
    return stage.run_program("import_set", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
