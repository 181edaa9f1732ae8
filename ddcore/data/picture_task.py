"""Tasks of encoded pictures: in memory, or of a large set in a mapped file that is made once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ddcore.data.custom import Content, CustomData, Part, content_key
from ddcore.data.examples import Examples, Summary
from ddcore.data.file_index import FileIndex
from ddcore.data.images import LARGEST, SMALLEST, image_task
from ddcore.data.pictures import Coloured, Heads, Source, decode
from ddcore.data.pixel_cache import MAPPED, SUFFIX, new_pixels, pixel_folder, stored
from ddcore.data.task import Task
from ddcore.errors import UsageError, require
from ddcore.runtime import LOG, Session, alone, in_words


@dataclass(frozen=True)
class Pictures:
    """The pictures of a custom data set, before they are decoded.

    Attributes:
        custom: the data set.
        source: all pictures, also those that are left out.
        content: classes and parts; the members are numbers of pictures in `source`.
        size: (width, height) of all images, once they are decoded.
        damaged: number of pictures that are left out.
    """

    custom: CustomData
    source: Source
    content: Content[int]
    size: tuple[int, int]
    damaged: int = 0

    @cached_property
    def key(self) -> str:
        """A short digest of the encoded pictures, their classes, parts and size."""
        content, (width, height) = self.content, self.size
        return content_key(
            repr(content.classes).encode(),
            content.train.y.numpy().tobytes(),
            f"files, {width}x{height}".encode(),
            b"".join(content.train.fingerprints),
            content.split.encode(),
            content.test.y.numpy().tobytes(),
            b"".join(content.test.fingerprints),
        )

    def task(self, session: Session = Session()) -> Task:
        """Return the pictures as a task: grey if every training image is grey, otherwise RGB, without transparency.

        From `MAPPED` bytes of pixels on, both parts are decoded once into files, which are mapped. A smaller test part
        is decoded on demand.

        Args:
            session: hears how far it is.

        Raises:
            UsageError: the training images are all the same.
            DDCoreError: a picture is damaged, or there is no room for the pixels.
        """
        fresh = self.is_large(3) and not all(self._path(part).exists() for part in ("train", "test"))
        train = self._examples("train", (1, 3), session)
        content, x, key = self.content, train.x, self.key
        assert isinstance(x, Tensor)
        channels = int(x.shape[1])
        if train.summary is None:
            key = content_key(
                repr(content.classes).encode(),
                content.train.y.numpy().tobytes(),
                x.numpy().data.cast("B"),
                content.split.encode(),
                content.test.y.numpy().tobytes(),
                *content.test.fingerprints,
            )
        elif fresh:
            self._examples("test", (channels,), session)
            self._tell(session)
        left_out = f", {self.damaged:,} damaged ones left out" if self.damaged else ""
        quiet = replace(session, progress=None)
        task = image_task(
            self.custom.name,
            content.classes,
            train,
            lambda: self._examples("test", (channels,), quiet),
            f"custom images '{self.custom.title}', {content.sizes}{left_out}, content {key}",
            key,
        )
        require(
            min(task.std) != 0,
            f"the training images of {self.custom.place} are all the same: nothing can be learned from them",
        )
        return task

    def is_large(self, channels: int) -> bool:
        """Return whether the pixels are kept in files."""
        most = max(len(self.content.train.y), len(self.content.test.y))
        return most * channels * self.size[0] * self.size[1] >= MAPPED

    def _examples(self, part: str, channels: Sequence[int], session: Session) -> Examples:
        """Return the ``train`` or ``test`` part, with the first of these channels that shows all of it."""
        if not self.is_large(max(channels)):
            return self._decoded(part, channels, session)
        if (known := self._stored(part)) is not None:
            return known
        lock = pixel_folder() / f".{self._name}.lock"
        with alone(lock, lambda who: session.tell(f"waiting for {who}, which decodes the images of {self._name}")):
            if (known := self._stored(part)) is not None:
                return known
            if self._path(part).exists():
                session.tell(f"{self._path(part)} is cut or of another version: it is made again")
            return self._decoded(part, channels, session)

    def _decoded(self, part: str, channels: Sequence[int], session: Session) -> Examples:
        """Decode a part, into memory or into its file."""
        first, *others = channels
        members: Part[int] = getattr(self.content, part)
        shape = (len(members.y), first, self.size[1], self.size[0])
        decode_into = partial(decode, self.source, members.members, shape[1:], grey_only=bool(others), session=session)
        try:
            if not self.is_large(first):
                x = np.empty(shape, np.uint8)
                decode_into(partial(_place, x))
                return Examples(torch.from_numpy(x), members.y)
            with new_pixels(self._path(part), shape) as file:
                file.finish(decode_into(file.put))
        except Coloured:
            return self._decoded(part, others, session)
        examples = self._stored(part)
        assert examples is not None
        return examples

    def _stored(self, part: str) -> Examples | None:
        """Return a part from its file; None if that must be made."""
        members: Part[int] = getattr(self.content, part)
        pixels = stored(self._path(part))
        if pixels is None or (len(pixels.x), *pixels.x.shape[2:]) != (len(members.y), self.size[1], self.size[0]):
            return None
        return Examples(
            pixels.x, members.y, summary=Summary(content_key(self.key.encode(), part.encode()), pixels.levels)
        )

    @cached_property
    def _name(self) -> str:
        return f"{self.custom.name}-{self.key}"

    def _path(self, part: str) -> Path:
        return pixel_folder() / f"{self._name}-{part}{SUFFIX}"

    def _tell(self, session: Session) -> None:
        size = in_words(sum(self._path(part).stat().st_size for part in ("train", "test")))
        session.tell(
            f"all images are kept as pixels in {self._path('train')} and beside it ({size}), for all stages; "
            f"fetch_data.py --forget {self._name} removes them"
        )


def heads_of(custom: CustomData, source: Source, index: FileIndex, session: Session) -> tuple[Heads, bool]:
    """Return the headers of all pictures, and whether some are not in the index yet.

    With the option ``damaged=skip``, damaged pictures are counted in a warning.

    Raises:
        UsageError, DDCoreError: as `Heads.read`.
    """
    skip = "damaged" in custom.options
    heads, unread = index.recall(skip=skip)
    heads.read(source, unread, skip=skip, session=session)
    damaged = np.flatnonzero(heads.sizes[:, 0] == 0)
    if len(damaged):
        some = ", ".join(source[i][0] for i in damaged[:3].tolist())
        LOG.warning("%d damaged images of %s are left out: %s …", len(damaged), custom.place, some)
    return heads, len(unread) > 0


def part_of(heads: Heads, y: np.ndarray, members: np.ndarray) -> Part[int]:
    """Return some pictures as a part of a data set.

    Args:
        heads: of all pictures.
        y: ``(N,)`` int64, their class numbers.
        members: ``(K,)`` int64, which of them.
    """
    chosen = members.tolist()
    return Part(chosen, torch.from_numpy(y[members]), [heads.fingerprints[i].tobytes() for i in chosen])


def pictures_of(custom: CustomData, source: Source, heads: Heads, content: Content[int]) -> Pictures:
    """Return pictures whose headers have been read.

    Args:
        custom: the data set; its option ``side`` scales the images.
        source: all pictures.
        heads: of all pictures.
        content: classes and parts; the members are numbers of pictures in `source`.

    Raises:
        UsageError: the images are of several sizes and not to be scaled, or of a size that cannot be used.
    """
    members = np.array([*content.train.members, *content.test.members])
    damaged = int((heads.sizes[:, 0] == 0).sum())
    if (side := custom.side) is not None:
        require(SMALLEST <= side <= LARGEST, f"side={side}: the side must be between {SMALLEST} and {LARGEST} pixels")
        return Pictures(custom, source, content, (side, side), damaged)
    sizes = [tuple(size) for size in heads.sizes[members].tolist()]
    (width, height), most = Counter(sizes).most_common(1)[0]
    resize = f"to resize all images on reading, use --dataset {custom.address},side="
    good = max(SMALLEST, min(64, width, height))
    for i, size in zip(members.tolist(), sizes, strict=True):
        if size != (width, height):
            raise UsageError(
                f"{source[i][0]} has {size[0]}x{size[1]} pixels, {most} of {len(sizes)} images have {width}x{height}: "
                f"resize or remove it; {resize}{good}"
            )
    require(
        min(width, height) >= SMALLEST and max(width, height) <= LARGEST,
        f"{source[members[0]][0]} and the other images have {width}x{height} pixels; sides from "
        f"{SMALLEST} to {LARGEST} are possible: {resize}{good}",
    )
    return Pictures(custom, source, content, (width, height), damaged)


def _place(x: np.ndarray, begin: int, pixels: np.ndarray) -> None:
    x[begin : begin + len(pixels)] = pixels
