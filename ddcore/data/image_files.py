"""Image files of any format: their headers, and their pixels as they are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from ddcore.errors import DDCoreError

if TYPE_CHECKING:
    from PIL import Image

GREY = ("1", "L", "LA")
EIGHT_BITS = (*GREY, "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")
"""Pillow's modes of images without colour, and of all that have 8 bits per channel."""
ORIENTATION = 0x0112
"""The EXIF tag that says how a camera was held."""


@contextmanager
def opened(file: Path | IO[bytes], name: Path | str) -> Iterator[Image.Image]:
    """Open an image; only its header is read.

    Args:
        file: a path, or an open file.
        name: of the image, for the error message.

    Raises:
        DDCoreError: it is not an image, or cannot be read; also for whatever Pillow raises inside the ``with`` block.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            yield image
    except DDCoreError:
        raise
    except UnidentifiedImageError as error:
        raise DDCoreError(f"{name} is not a readable image: remove it, or save it as PNG or JPEG") from error
    except Exception as error:  # Pillow raises many kinds, by format and damage
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DDCoreError(f"{name} is broken ({reason}): repair or remove it") from error


def decoded(file: Path | IO[bytes], name: Path | str, mode: str) -> Image.Image:
    """Return an image in the mode ``L`` or ``RGB``, turned as its EXIF orientation says.

    Raises:
        DDCoreError: as `opened`.
    """
    with opened(file, name) as image:
        return _turned(image, mode, orientation(image))


def grey(file: Path | IO[bytes], name: Path | str) -> Image.Image | None:
    """Return an image in the mode ``L``, as `decoded` does; None if it has colour.

    Raises:
        DDCoreError: as `opened`.
    """
    with opened(file, name) as image:
        held = orientation(image)  # before the pixels are read
        if image.mode not in GREY:
            pixels = np.asarray(image.convert("RGB"))
            if (pixels != pixels[..., :1]).any():
                return None
        return _turned(image, "L", held)


def _turned(image: Image.Image, mode: str, held: int) -> Image.Image:
    from PIL import Image

    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    pixels = image.convert(mode)
    return pixels.transpose(turns[held]) if held in turns else pixels


def seen_size(image: Image.Image) -> tuple[int, int]:
    """Return (width, height) of an opened image after it has been turned."""
    width, height = image.size
    return (height, width) if orientation(image) >= 5 else (width, height)


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of an opened image, 1 to 8; 1 if it has none that can be read.

    Pillow itself turns TIFF images. In PNG files it is looked for before the pixels only, where cameras write it.
    """
    from PIL import Image

    if image.format == "TIFF":
        return 1
    try:
        value = Image.Image.getexif(image).get(ORIENTATION, 1)
    except Exception:  # damaged EXIF data says nothing about the pixels
        return 1
    return value if value in range(1, 9) else 1
