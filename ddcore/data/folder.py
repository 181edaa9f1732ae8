"""Custom images: one folder per class, all images of one size."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ddcore.data.custom import CustomData, check_classes, content_key, held_out, in_order
from ddcore.data.examples import Examples
from ddcore.data.images import LARGEST, SMALLEST, image_task
from ddcore.data.task import Task, others
from ddcore.errors import DDCoreError, UsageError

if TYPE_CHECKING:
    from PIL import Image

MOST_BYTES = 8 * 2**30
GREY = ("1", "L", "LA")
EIGHT_BITS = (*GREY, "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")


@dataclass(frozen=True)
class Files:
    """Image files and their class numbers ``(N,)`` int64."""

    paths: list[Path]
    y: torch.Tensor


@dataclass(frozen=True)
class Folder:
    """The files of a custom data set, before any image is decoded.

    Attributes:
        classes: the folders' names, sorted.
        train, test: the files of the training set and of the test set.
    """

    classes: tuple[str, ...]
    train: Files
    test: Files


def read_folder(custom: CustomData) -> Folder:
    """Return the files of every class.

    If ``DIR/train`` holds folders, ``DIR/train`` is the training set, ``DIR/test`` the test set, and everything else
    in ``DIR`` is ignored. Without ``DIR/test``, a fifth of every class becomes the test set, see `held_out`. Names that
    begin with a dot and files beside the class folders are ignored.

    Raises:
        UsageError: it is not a folder of class folders, a class is empty or too small, there is only one class, or
            the test set has other classes.
    """
    root = custom.paths[0]
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder: images:DIR needs a folder that holds one folder per class")
    has_train = (root / "train").is_dir() and bool(_folders(root / "train"))
    home = root / "train" if has_train else root
    test_home = root / "test" if has_train and (root / "test").is_dir() else None
    names = in_order(path.name for path in _folders(home))
    if not names:
        raise UsageError(f"{home} holds no folders: images:DIR needs one folder per class, with its images inside")
    whole = _files(home, names)
    counts = torch.bincount(whole.y, minlength=len(names)).tolist()
    check_classes(home, dict(zip(names, counts, strict=True)), split=test_home is None)
    if test_home is None:
        held = held_out(whole.y)
        return Folder(names, _part(whole, others(held, len(whole.y))), _part(whole, held))
    test_names = {path.name for path in _folders(test_home)}
    if test_names != set(names):
        odd = sorted(test_names ^ set(names))[0]
        raise UsageError(f"{home} and {test_home} must hold the same classes: '{odd}' is in only one of them")
    test = _files(test_home, names)
    for number, name in enumerate(names):
        if not bool((test.y == number).any()):
            raise UsageError(f"class '{name}' of {test_home} is empty: add images to it")
    return Folder(names, whole, test)


def folder_task(custom: CustomData) -> Task:
    """Return custom images as a task: grey if every training image is grey, otherwise RGB, without transparency.

    The training images are read now, the test images on demand.

    Raises:
        UsageError: the folder has another layout (see `read_folder`), or the images' size cannot be used.
        DDCoreError: a file is not an image, or is damaged.
    """
    folder = read_folder(custom)
    side = int(custom.options["side"]) if "side" in custom.options else None
    size = common_size([*folder.train.paths, *folder.test.paths], side, custom)
    channels = 3 if any(_coloured(path) for path in folder.train.paths) else 1
    _check_memory(len(folder.train.paths), channels, size)
    pixels = _pixels(folder.train, channels, size)
    train = Examples(pixels, folder.train.y)
    key = content_key(
        repr(folder.classes).encode(),
        train.y.numpy().tobytes(),
        pixels.numpy().tobytes(),
        *(f"{path.name} {path.stat().st_size}".encode() for path in folder.test.paths),
    )
    parts = f"{len(folder.train.paths):,} for training and {len(folder.test.paths):,} for testing"
    task = image_task(
        custom.name,
        folder.classes,
        train,
        lambda: Examples(_pixels(folder.test, channels, size), folder.test.y),
        f"custom images '{custom.title}', {parts}, content {key}",
        key,
    )
    if min(task.std) == 0:
        raise UsageError(f"the training images of {custom.paths[0]} are all the same: nothing can be learned from them")
    return task


def common_size(paths: Sequence[Path], side: int | None, custom: CustomData) -> tuple[int, int]:
    """Return (width, height) of all images, read from their headers; or (side, side) if `side` is not None.

    Raises:
        UsageError: the sizes differ, or are not between `SMALLEST` and `LARGEST`.
        DDCoreError: a file is not an image, or holds more than 8 bits per channel.
    """
    sizes = {}
    for path in paths:
        with _opened(path) as image:
            if image.mode not in EIGHT_BITS:
                raise DDCoreError(
                    f"{path} does not have 8 bits per channel ({image.mode}): save it with 8 bits, or remove it"
                )
            sizes[path] = image.size
    if side is not None:
        if not SMALLEST <= side <= LARGEST:
            raise UsageError(f"side={side}: the side must be between {SMALLEST} and {LARGEST} pixels")
        return side, side
    (width, height), most = Counter(sizes.values()).most_common(1)[0]
    resize = f"to resize all images on reading, use --dataset {custom.address},side="
    good = max(SMALLEST, min(64, width, height))
    for path, size in sizes.items():
        if size != (width, height):
            raise UsageError(
                f"{path} has {size[0]}x{size[1]} pixels, {most} of {len(sizes)} images have {width}x{height}: "
                f"resize or remove it; {resize}{good}"
            )
    if min(width, height) < SMALLEST or max(width, height) > LARGEST:
        raise UsageError(
            f"{paths[0]} and the other images have {width}x{height} pixels; sides from "
            f"{SMALLEST} to {LARGEST} are possible: {resize}{good}"
        )
    return width, height


def _check_memory(count: int, channels: int, size: tuple[int, int]) -> None:
    needed = count * channels * size[0] * size[1]
    if needed > MOST_BYTES:
        raise UsageError(
            f"{count:,} images of {size[0]}x{size[1]} pixels take {needed / 2**30:.0f} GB, more than "
            f"{MOST_BYTES / 2**30:.0f}: use fewer images, or a smaller ,side="
        )


def _folders(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))


def _files(home: Path, names: Sequence[str]) -> Files:
    """Return the files of every class, sorted by name.

    Raises:
        UsageError: a class folder holds a folder, or cannot be read.
    """
    paths, y = [], []
    for number, name in enumerate(names):
        try:
            inside = sorted(each for each in (home / name).iterdir() if not each.name.startswith("."))
        except OSError as error:
            raise UsageError(f"{home / name} cannot be read: {error.strerror}") from error
        for path in inside:
            if path.is_dir():
                raise UsageError(
                    f"{path} is a folder inside class '{name}': put the images directly into {home / name}"
                )
        paths += inside
        y += [number] * len(inside)
    return Files(paths, torch.tensor(y, dtype=torch.int64))


def _part(whole: Files, indices: torch.Tensor) -> Files:
    return Files([whole.paths[i] for i in indices.tolist()], whole.y[indices])


def _opened(path: Path) -> Image.Image:
    """Open an image; only its header is read.

    Raises:
        DDCoreError: it is not an image, or cannot be read.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(path)
    except UnidentifiedImageError as error:
        raise DDCoreError(f"{path} is not a readable image: remove it, or save it as PNG or JPEG") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DDCoreError(f"{path} cannot be read ({error}): repair or remove it") from error


def _decoded(path: Path, mode: str) -> Image.Image:
    """Return an image in the mode ``L`` or ``RGB``.

    Raises:
        DDCoreError: the file is damaged.
    """
    with _opened(path) as image:
        try:
            return image.convert(mode)
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise DDCoreError(f"{path} is broken ({error}): repair or remove it") from error


def _coloured(path: Path) -> bool:
    with _opened(path) as image:
        if image.mode in GREY:
            return False
    pixels = np.asarray(_decoded(path, "RGB"))
    return bool((pixels != pixels[..., :1]).any())


def _pixels(files: Files, channels: int, size: tuple[int, int]) -> torch.Tensor:
    """Return all images at one size (width, height): ``(N, C, H, W)`` uint8."""
    from PIL import Image, ImageOps

    x = np.empty((len(files.paths), channels, size[1], size[0]), dtype=np.uint8)
    for i, path in enumerate(files.paths):
        image = _decoded(path, "L" if channels == 1 else "RGB")
        if image.size != size:
            # Scale until the image covers the size, then crop at the centre.
            image = ImageOps.fit(image, size, Image.Resampling.BILINEAR)
        x[i] = np.asarray(image).reshape(size[1], size[0], channels).transpose(2, 0, 1)
    return torch.from_numpy(x)
