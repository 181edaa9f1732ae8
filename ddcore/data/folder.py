"""Custom images: one folder per class, all images of one size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ddcore.data.custom import Content, CustomData, Part, check_classes, content_key, fingerprint, in_order
from ddcore.data.examples import Examples
from ddcore.data.image_files import decoded, opened, seen_size
from ddcore.data.images import LARGEST, SMALLEST, image_task
from ddcore.data.task import Task
from ddcore.errors import DDCoreError, UsageError, require

MOST_BYTES = 8 * 2**30
GREY = ("1", "L", "LA")
EIGHT_BITS = (*GREY, "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")


def read_folder(custom: CustomData) -> Content[Path]:
    """Return the files of every class, before any image is decoded.

    If ``DIR/train`` holds folders, ``DIR/train`` is the training set, ``DIR/test`` the test set, and everything else
    in ``DIR`` is ignored. Without ``DIR/test``, a fifth of every class becomes the test set, see `held_out`. Names that
    begin with a dot and files beside the class folders are ignored.

    Raises:
        UsageError: it is not a folder of class folders, a folder or file cannot be read or has a name that is not
            UTF-8, a class is empty or too small, there is only one class, or the test set has other classes.
    """
    try:
        return _read_folder(custom.paths[0])
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be read: {error.strerror}") from error


def _read_folder(root: Path) -> Content[Path]:
    require(root.is_dir(), f"{root} is not a folder: images:DIR needs a folder that holds one folder per class")
    has_train = (root / "train").is_dir() and bool(_folders(root / "train"))
    home = root / "train" if has_train else root
    test_home = root / "test" if has_train and (root / "test").is_dir() else None
    names = in_order(path.name for path in _folders(home))
    require(bool(names), f"{home} holds no folders: images:DIR needs one folder per class, with its images inside")
    whole = _files(home, names)
    counts = torch.bincount(whole.y, minlength=len(names)).tolist()
    check_classes(home, dict(zip(names, counts, strict=True)), split=test_home is None)
    if test_home is None:
        return Content.of(home, names, whole, None)
    test_names = {path.name for path in _folders(test_home)}
    if test_names != set(names):
        odd = sorted(test_names ^ set(names))[0]
        raise UsageError(f"{home} and {test_home} must hold the same classes: '{odd}' is in only one of them")
    test = _files(test_home, names)
    for number, name in enumerate(names):
        require(number in test.y, f"class '{name}' of {test_home} is empty: add images to it")
    return Content.of(root, names, whole, test)


def folder_task(custom: CustomData) -> Task:
    """Return custom images as a task: grey if every training image is grey, otherwise RGB, without transparency.

    The training images are read now, the test images on demand.

    Raises:
        UsageError: the folder has another layout (see `read_folder`), or the images' size cannot be used.
        DDCoreError: a file is not an image, or is damaged.
    """
    folder = read_folder(custom)
    side = int(custom.options["side"]) if "side" in custom.options else None
    size = common_size([*folder.train.members, *folder.test.members], side, custom)
    count, channels = len(folder.train.members), 3 if any(map(_coloured, folder.train.members)) else 1
    needed = count * channels * size[0] * size[1]
    require(
        needed <= MOST_BYTES,
        f"{count:,} images of {size[0]}x{size[1]} pixels take {needed / 2**30:.0f} GB, more than "
        f"{MOST_BYTES / 2**30:.0f}: use fewer images, or a smaller ,side=",
    )
    pixels = _pixels(folder.train, channels, size)
    key = content_key(
        repr(folder.classes).encode(),
        folder.train.y.numpy().tobytes(),
        pixels.numpy().tobytes(),
        folder.split.encode(),
        folder.test.y.numpy().tobytes(),
        *folder.test.fingerprints,
    )
    task = image_task(
        custom.name,
        folder.classes,
        Examples(pixels, folder.train.y),
        lambda: Examples(_pixels(folder.test, channels, size), folder.test.y),
        f"custom images '{custom.title}', {folder.sizes}, content {key}",
        key,
    )
    require(
        min(task.std) != 0,
        f"the training images of {custom.paths[0]} are all the same: nothing can be learned from them",
    )
    return task


def common_size(paths: Sequence[Path], side: int | None, custom: CustomData) -> tuple[int, int]:
    """Return (width, height) of all images, read from their headers; or (side, side) if `side` is not None.

    Raises:
        UsageError: the sizes differ, or are not between `SMALLEST` and `LARGEST`.
        DDCoreError: a file is not an image, or holds more than 8 bits per channel.
    """
    sizes = {}
    for path in paths:
        with opened(path, path) as image:
            require(
                image.mode in EIGHT_BITS,
                f"{path} does not have 8 bits per channel ({image.mode}): save it with 8 bits, or remove it",
                DDCoreError,
            )
            sizes[path] = seen_size(image)
    if side is not None:
        require(SMALLEST <= side <= LARGEST, f"side={side}: the side must be between {SMALLEST} and {LARGEST} pixels")
        return side, side
    (width, height), most = Counter(sizes.values()).most_common(1)[0]
    resize = f"to resize all images on reading, use --dataset {custom.address},side="
    good = max(SMALLEST, min(64, width, height))
    for path, size in sizes.items():
        require(
            size == (width, height),
            f"{path} has {size[0]}x{size[1]} pixels, {most} of {len(sizes)} images have {width}x{height}: "
            f"resize or remove it; {resize}{good}",
        )
    require(
        min(width, height) >= SMALLEST and max(width, height) <= LARGEST,
        f"{paths[0]} and the other images have {width}x{height} pixels; sides from "
        f"{SMALLEST} to {LARGEST} are possible: {resize}{good}",
    )
    return width, height


def _folders(path: Path) -> list[Path]:
    folders = sorted(each for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))
    for each in folders:
        shown = str(each).encode(errors="backslashreplace").decode()
        require(shown == str(each), f"the name of the folder {shown} is not UTF-8: rename it")
    return folders


def _files(home: Path, names: Sequence[str]) -> Part[Path]:
    """Return the files of every class, sorted by name.

    Raises:
        UsageError: a class folder holds something else than files.
    """
    paths, y = [], []
    for number, name in enumerate(names):
        inside = sorted(each for each in (home / name).iterdir() if not each.name.startswith("."))
        for path in inside:
            require(
                not path.is_dir(),
                f"{path} is a folder inside class '{name}': put the images directly into {home / name}",
            )
            require(path.is_file(), f"{path} is not a file that can be read: remove it")
        paths += inside
        y += [number] * len(inside)
    return Part(paths, torch.tensor(y, dtype=torch.int64), [fingerprint(path) for path in paths])


def _coloured(path: Path) -> bool:
    with opened(path, path) as image:
        if image.mode in GREY:
            return False
    pixels = np.asarray(decoded(path, path, "RGB"))
    return bool((pixels != pixels[..., :1]).any())


def _pixels(files: Part[Path], channels: int, size: tuple[int, int]) -> torch.Tensor:
    """Return all images at one size (width, height): ``(N, C, H, W)`` uint8."""
    from PIL import Image, ImageOps

    x = np.empty((len(files.members), channels, size[1], size[0]), dtype=np.uint8)
    for i, path in enumerate(files.members):
        image = decoded(path, path, "L" if channels == 1 else "RGB")
        if image.size != size:
            # Scale until the image covers the size, then crop at the centre.
            image = ImageOps.fit(image, size, Image.Resampling.BILINEAR)
        x[i] = np.asarray(image).reshape(size[1], size[0], channels).transpose(2, 0, 1)
    return torch.from_numpy(x)
