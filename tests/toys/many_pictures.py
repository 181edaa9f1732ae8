"""Write many JPEG files that can be learned from, fast: a folder per class, as ``images:DIR`` reads them.

``python tests/toys/many_pictures.py DIR --count 20000 --side 224 --classes 10`` takes half a minute on two cores. A
picture is a pattern of its class of 8x8 patches of colour, mixed with one of its own and scaled up. Beyond 20,000
pictures, files repeat the first ones with other bytes behind the JPEG's end, which no decoder reads: they are different
members with equal pixels. The same numbers give the same files.
"""

import argparse
import io
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

DISTINCT = 20_000
PATCHES = 8


def encoded(place: int, side: int, classes: int) -> bytes:
    """Return a JPEG file of the class `place` modulo `classes`."""
    pattern = np.random.default_rng((classes, place % classes)).integers(0, 256, (PATCHES, PATCHES, 3))
    own = np.random.default_rng((classes, place, 1)).integers(0, 256, (PATCHES, PATCHES, 3))
    pixels = ((pattern + own) // 2).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def write(places: range, home: Path, side: int, classes: int, count: int) -> None:
    """Write the pictures at these places, and all that repeat them."""
    for place in places:
        content = encoded(place, side, classes)
        for copy in range(place, count, DISTINCT):
            path = home / f"{place % classes:04}" / f"{copy:07}.jpg"
            path.write_bytes(content if copy < DISTINCT else content + copy.to_bytes(4, "big"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path, help="folder to write to")
    parser.add_argument("--count", type=int, default=20_000, help="pictures in all (default 20000)")
    parser.add_argument("--side", type=int, default=224, help="pixels of a side (default 224)")
    parser.add_argument("--classes", type=int, default=10, help="classes (default 10); a divisor of 20,000")
    args = parser.parse_args()
    for number in range(args.classes):
        (args.home / f"{number:04}").mkdir(parents=True, exist_ok=True)
    distinct = min(args.count, DISTINCT)
    parts = [range(begin, min(begin + 100, distinct)) for begin in range(0, distinct, 100)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(partial(write, home=args.home, side=args.side, classes=args.classes, count=args.count), parts))


if __name__ == "__main__":
    main()
