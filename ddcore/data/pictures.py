"""Encoded pictures of any number: their headers, and their pixels, with all cores.

Pillow decodes without Python's lock, so threads suffice: of a JPEG of 224x224 pixels, a fifth of the time holds it.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from ddcore.data.custom import fingerprint
from ddcore.data.image_files import EIGHT_BITS, decoded, grey, opened, seen_size
from ddcore.errors import DDCoreError, UsageError, require
from ddcore.runtime import Session, available_cores

BLOCK = 8 * 2**20
"""Bytes of pixels that a thread decodes before it passes them on."""
HEADERS = 100
"""Headers that a thread reads in one go."""
Item = TypeVar("Item")
Result = TypeVar("Result")


class Source(Protocol):
    """A sequence of encoded pictures, which several threads may read at once."""

    def __len__(self) -> int: ...

    def __getitem__(self, i: int, /) -> tuple[str, bytes | Path]:
        """Return a picture's name, for messages, and its content or its file."""
        ...


@dataclass(frozen=True)
class Heads:
    """What is known of N pictures without their pixels.

    Attributes:
        fingerprints: ``(N, 16)`` uint8, as of `ddcore.data.custom.fingerprint`.
        sizes: ``(N, 2)`` int32, width and height after turning; zero for a damaged picture.
        whole: ``(N,)`` bool, whether the pixels were decoded, too, to see whether they can be.
    """

    fingerprints: np.ndarray
    sizes: np.ndarray
    whole: np.ndarray

    @staticmethod
    def blank(count: int) -> Heads:
        """Return room for so many pictures."""
        return Heads(np.zeros((count, 16), np.uint8), np.zeros((count, 2), np.int32), np.zeros(count, bool))

    def read(self, source: Source, members: np.ndarray, *, skip: bool = False, session: Session = Session()) -> None:
        """Read the headers of some pictures and note what they say.

        Args:
            source: all pictures.
            members: ``(K,)`` int64, which of them to read.
            skip: note damaged pictures, in the header or in the pixels, instead of refusing them.
            session: hears how far it is.

        Raises:
            UsageError: a file cannot be read.
            DDCoreError: one is not a picture, is damaged, or holds more than 8 bits per channel.
        """

        def one(i: int) -> None:
            name, content = source[i]
            content = read_bytes(content)
            self.fingerprints[i] = np.frombuffer(fingerprint(content), np.uint8)
            self.sizes[i], self.whole[i] = 0, skip
            try:
                with opened(io.BytesIO(content), name) as image:
                    deep = image.mode not in EIGHT_BITS
                    self.sizes[i] = seen_size(image)
                    if skip and not deep:
                        image.load()
            except DDCoreError:
                if not skip:
                    raise
                self.sizes[i] = 0
                return
            require(
                not deep,
                f"{name} does not have 8 bits per channel ({image.mode}): save it with 8 bits, or remove it",
                DDCoreError,
            )

        def some(part: np.ndarray) -> int:
            for i in part.tolist():
                one(i)
            return len(part)

        parts = [members[begin : begin + HEADERS] for begin in range(0, len(members), HEADERS)]
        done = 0
        for count in _in_threads(some, parts):
            done += count
            session.report(done, len(members))


class Coloured(Exception):
    """A picture has colour, where grey ones are expected."""


def decode(
    source: Source,
    members: Sequence[int],
    shape: tuple[int, int, int],
    put: Callable[[int, np.ndarray], None],
    *,
    grey_only: bool = False,
    session: Session = Session(),
) -> Tensor:
    """Decode pictures, scaled until they cover the size and cut at the centre, and return how often each level occurs.

    Args:
        source: all pictures.
        members: which of them to decode, K in all.
        shape: ``(C, H, W)``; of a coloured picture at C = 1, the luminance is taken.
        put: called by several threads with the place of a picture among `members`, and ``(B, C, H, W)`` uint8 pixels
            from there on.
        grey_only: refuse coloured pictures.
        session: hears how far it is.

    Returns:
        ``(C, 256)`` int64 numbers of pixels of each channel that have each level.

    Raises:
        Coloured: `grey_only`, and one has colour.
        DDCoreError: one is damaged. Of several errors, that of the first picture is raised.
    """
    channels, height, width = shape
    step = max(1, BLOCK // (channels * height * width))

    def block(begin: int) -> tuple[int, Tensor]:
        own = members[begin : begin + step]
        pixels = np.empty((len(own), *shape), dtype=np.uint8)
        for k, i in enumerate(own):
            pixels[k] = _planes(*source[i], shape, grey_only)
        put(begin, pixels)
        return len(own), levels_of(torch.from_numpy(pixels))

    total, done = torch.zeros(channels, 256, dtype=torch.int64), 0
    for count, levels in _in_threads(block, range(0, len(members), step)):
        total += levels
        done += count
        session.report(done, len(members))
    return total


def levels_of(x: Tensor) -> Tensor:
    """Return how often each level occurs in each channel of ``(N, C, H, W)`` uint8 pixels: ``(C, 256)`` int64."""
    step = max(1, BLOCK // max(1, x[:1].numel()))
    total = torch.zeros(x.shape[1], 256, dtype=torch.int64)
    for part in x.split(step):
        total += torch.stack([torch.bincount(part[:, c].flatten(), minlength=256) for c in range(x.shape[1])])
    return total


def read_bytes(content: bytes | Path) -> bytes:
    """Return the content of a picture.

    Raises:
        UsageError: its file cannot be read.
    """
    try:
        return content if isinstance(content, bytes) else content.read_bytes()
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be read: {error.strerror}") from error


def _planes(name: str, content: bytes | Path, shape: tuple[int, int, int], grey_only: bool) -> np.ndarray:
    """Return one picture: ``(C, H, W)`` uint8."""
    from PIL import Image, ImageOps

    channels, height, width = shape
    file = io.BytesIO(read_bytes(content))
    image = grey(file, name) if grey_only else decoded(file, name, "L" if channels == 1 else "RGB")
    if image is None:
        raise Coloured
    if image.size != (width, height):
        # Scale until the image covers the size, then crop at the centre.
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(height, width, channels).transpose(2, 0, 1)


def _in_threads(work: Callable[[Item], Result], parts: Sequence[Item]) -> Iterator[Result]:
    """Give the results in order; after an error, nothing new is begun."""
    from PIL import Image

    Image.init()  # two threads that do so at once may take a picture for none
    with warnings.catch_warnings():  # they belong to the process, not to a thread
        warnings.simplefilter("ignore")
        pool = ThreadPoolExecutor(available_cores())
        try:
            yield from pool.map(work, parts)
        finally:
            pool.shutdown(cancel_futures=True)
