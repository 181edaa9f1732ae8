"""A user's own images: a folder a class, all of one size."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from ddcore.data.custom import Own, check_classes, content_key, held_out, in_order
from ddcore.data.examples import Examples
from ddcore.data.images import LARGEST, SMALLEST, image_task
from ddcore.data.task import Task
from ddcore.errors import DDCoreError, UsageError

MOST_BYTES = 8 * 2**30
GREY = ("1", "L", "LA")
EIGHT_BITS = (*GREY, "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")


@dataclass(frozen=True)
class Files:
    """Files of one part and the class number of each."""

    paths: list[Path]
    y: torch.Tensor


@dataclass(frozen=True)
class Folder:
    """What a folder holds, before any image is decoded.

    Attributes:
        classes: the folders' names, sorted.
        train, test: the parts.
    """

    classes: tuple[str, ...]
    train: Files
    test: Files


def read_folder(own: Own) -> Folder:
    """List the files of every class.

    ``DIR/train`` and ``DIR/test`` are the parts if ``DIR/train`` holds folders; what lies beside them is left alone.
    Without ``test``, a fifth of every class is kept for testing, see `held_out`. Names that begin with a dot are
    passed over, and so are files beside the class folders.

    Raises:
        UsageError: it is no folder of class folders, a class is empty or too small, there is one class only, or the
            test part has other classes.
    """
    root = own.paths[0]
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder: images:DIR wants a folder with a folder for each class")
    parts = (root / "train").is_dir() and bool(_folders(root / "train"))
    home = root / "train" if parts else root
    given = root / "test" if parts and (root / "test").is_dir() else None
    names = in_order(path.name for path in _folders(home))
    if not names:
        raise UsageError(f"{home} holds no folders: images:DIR wants a folder for each class, with its images inside")
    whole = _files(home, names)
    counts = torch.bincount(whole.y, minlength=len(names)).tolist()
    check_classes(home, dict(zip(names, counts, strict=True)), split=given is None)
    if given is None:
        held = held_out(whole.y)
        rest = torch.ones(len(whole.y), dtype=torch.bool)
        rest[held] = False
        return Folder(names, _part(whole, rest.nonzero().flatten()), _part(whole, held))
    found = {path.name for path in _folders(given)}
    if found != set(names):
        odd = sorted(found ^ set(names))[0]
        raise UsageError(f"{home} and {given} must hold the same classes: '{odd}' is in one of them only")
    test = _files(given, names)
    for number, name in enumerate(names):
        if not bool((test.y == number).any()):
            raise UsageError(f"class '{name}' of {given} is empty: add images to it")
    return Folder(names, whole, test)


def folder_task(own: Own) -> Task:
    """Return a user's own images as a task: grey if every training image is, else RGB, without transparency.

    The training images are read now, the test images when they are asked for.

    Raises:
        UsageError: the folder is laid out otherwise (see `read_folder`), or images have no size that can be used.
        DDCoreError: a file is no image, or is damaged.
    """
    found = read_folder(own)
    side = int(own.options["side"]) if "side" in own.options else None
    size = common_size([*found.train.paths, *found.test.paths], side, own)
    channels = 3 if any(_coloured(path) for path in found.train.paths) else 1
    _check_memory(len(found.train.paths), channels, size)
    train = _examples(found.train, channels, size)
    key = content_key(
        repr(found.classes).encode(),
        train.y.numpy().tobytes(),
        train.x.numpy().tobytes(),  # type: ignore[union-attr]
        *(f"{path.name} {path.stat().st_size}".encode() for path in found.test.paths),
    )
    parts = f"{len(found.train.paths):,} for training and {len(found.test.paths):,} for testing"
    task = image_task(
        own.name,
        found.classes,
        train,
        lambda: _examples(found.test, channels, size),
        f"own images '{own.title}', {parts}, content {key}",
        key,
    )
    if min(task.std) == 0:
        raise UsageError(f"the training images of {own.paths[0]} are all alike: there is nothing to learn from them")
    return task


def common_size(paths: Sequence[Path], side: int | None, own: Own) -> tuple[int, int]:
    """Return (width, height) of all images, read from their heads; or the square of `side` pixels wanted of them.

    Raises:
        UsageError: they differ, or the size is too small for the networks or too large.
        DDCoreError: a file is no image, or holds more than 8 bits a channel.
    """
    sizes = {}
    for path in paths:
        with _opened(path) as image:
            if image.mode not in EIGHT_BITS:
                raise DDCoreError(f"{path} does not have 8 bits a channel ({image.mode}): save it with 8, or remove it")
            sizes[path] = image.size
    if side is not None:
        if not SMALLEST <= side <= LARGEST:
            raise UsageError(f"side={side} cannot be had: from {SMALLEST} to {LARGEST} pixels can")
        return side, side
    (width, height), most = Counter(sizes.values()).most_common(1)[0]
    resize = f"all images can be resized on reading with --dataset {own.words},side="
    good = max(SMALLEST, min(64, width, height))
    for path, size in sizes.items():
        if size != (width, height):
            raise UsageError(
                f"{path} has {size[0]}x{size[1]} pixels, {most} of {len(sizes)} images have {width}x{height}: "
                f"resize or remove it; {resize}{good}"
            )
    if min(width, height) < SMALLEST or max(width, height) > LARGEST:
        raise UsageError(
            f"{paths[0]} and the other images have {width}x{height} pixels; sides from {SMALLEST} to {LARGEST} can be "
            f"used: {resize}{good}"
        )
    return width, height


def _check_memory(count: int, channels: int, size: tuple[int, int]) -> None:
    needed = count * channels * size[0] * size[1]
    if needed > MOST_BYTES:
        raise UsageError(
            f"{count:,} images of {size[0]}x{size[1]} pixels take {needed / 2**30:.0f} GB, more than "
            f"{MOST_BYTES / 2**30:.0f}: give fewer, or a smaller ,side="
        )


def _folders(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))


def _files(home: Path, names: Sequence[str]) -> Files:
    """Return the files of every class, in order of their names.

    Raises:
        UsageError: a folder lies where an image should, or a folder cannot be read.
    """
    paths, y = [], []
    for number, name in enumerate(names):
        try:
            inside = sorted(each for each in (home / name).iterdir() if not each.name.startswith("."))
        except OSError as error:
            raise UsageError(f"{home / name} cannot be read: {error.strerror}") from error
        for path in inside:
            if path.is_dir():
                raise UsageError(f"{path} is a folder inside class '{name}': put the images right into {home / name}")
        paths += inside
        y += [number] * len(inside)
    return Files(paths, torch.tensor(y, dtype=torch.int64))


def _part(whole: Files, chosen: torch.Tensor) -> Files:
    return Files([whole.paths[i] for i in chosen.tolist()], whole.y[chosen])


def _opened(path: Path) -> Image.Image:
    """Open an image; only its head is read.

    Raises:
        DDCoreError: it is none, or cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(path)
    except UnidentifiedImageError as error:
        raise DDCoreError(f"{path} is no image that can be read: remove it, or save it as PNG or JPEG") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DDCoreError(f"{path} cannot be read ({error}): repair or remove it") from error


def _decoded(path: Path, mode: str) -> Image.Image:
    """Return an image's pixels in the mode ``L`` or ``RGB``.

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


def _examples(files: Files, channels: int, size: tuple[int, int]) -> Examples:
    x = np.empty((len(files.paths), channels, size[1], size[0]), dtype=np.uint8)
    for i, path in enumerate(files.paths):
        image = _decoded(path, "L" if channels == 1 else "RGB")
        if image.size != size:
            # Scaled until it covers the square, then cut around its middle.
            image = ImageOps.fit(image, size, Image.Resampling.BILINEAR)
        x[i] = np.asarray(image).reshape(size[1], size[0], channels).transpose(2, 0, 1)
    return Examples(torch.from_numpy(x), files.y)
