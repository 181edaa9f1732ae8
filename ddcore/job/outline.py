"""The facts about a data set that a plan depends on."""

from dataclasses import dataclass

import torch

from ddcore.data import DATASETS, CustomData, Pictures, read_custom, spaced, validation_part


@dataclass(frozen=True)
class Outline:
    """The facts about a data set that a plan depends on.

    Attributes:
        name: the data set's name.
        title: its name for a reader.
        kind: ``images`` or ``text``.
        classes: number of classes.
        members: of the training set.
        smallest: members of the smallest class outside the validation split.
        even: whether all classes have the same number of members.
        size: pixels of an image, or mean number of words of a text.
    """

    name: str
    title: str
    kind: str
    classes: int
    members: int
    smallest: int
    even: bool
    size: float


KNOWN = {
    row.name: Outline(
        row.name,
        row.title,
        row.kind,
        row.counts.classes,
        row.counts.train,
        row.counts.smallest,
        row.counts.even,
        row.counts.size,
    )
    for row in DATASETS.values()
}


def custom_outline(custom: CustomData) -> Outline:
    """Return the outline of a user's own data; of images only the headers are read.

    Raises:
        UsageError, DDCoreError: as for `ddcore.data.load_task`.
    """
    found = read_custom(custom)
    if isinstance(found, Pictures):
        kind, classes, y = "images", found.content.classes, found.content.train.y
        size = float(found.size[0] * found.size[1])
    else:
        kind, classes, y = "text", found.classes, found.train.y
        size = sum(len(spaced(text).split()) for text in found.train.members) / len(y)
    counts = torch.bincount(y, minlength=len(classes))
    fit = counts - torch.bincount(y[validation_part(y)], minlength=len(classes))
    even = int(counts.min()) == int(counts.max())
    return Outline(custom.name, custom.title, kind, len(classes), len(y), int(fit.min()), even, size)
