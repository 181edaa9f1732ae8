"""One row per real data set: all that ddcore knows of it before it is read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ddcore.data.task import Task


@dataclass(frozen=True)
class Counts:
    """The sizes of a data set.

    Attributes:
        classes: number of classes.
        train, test: members of the training set and of the test set.
        smallest: members of the smallest class outside the validation split; a lower bound.
        even: whether all classes have the same number of members.
        size: pixels of an image, or mean number of words of a text.
    """

    classes: int
    train: int
    test: int
    smallest: int
    even: bool
    size: float


@dataclass(frozen=True)
class DataSet:
    """A real data set that can be asked for by name.

    Attributes:
        name: on the command line and in records.
        title: for readers.
        kind: ``images`` or ``text``.
        counts: its sizes.
        load: reads it from the folder of all data sets, downloading it first if it is missing there.
        mirrored: whether an image keeps its class when it is flipped, left to right.
        megabytes: to download.
        licence: as its publisher states it.
        citation: authors, year and venue.
    """

    name: str
    title: str
    kind: str
    counts: Counts
    load: Callable[[Path], Task]
    mirrored: bool
    megabytes: float
    licence: str
    citation: str
