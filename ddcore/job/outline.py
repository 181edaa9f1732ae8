"""The facts about a data set that a plan depends on."""

from dataclasses import dataclass

import torch

from ddcore.data import DATASETS, CustomData, read_folder, read_table, spaced, validation_part


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
    if custom.kind == "images":
        pictures = read_folder(custom)
        classes, y = pictures.content.classes, pictures.content.train.y
        size = float(pictures.size[0] * pictures.size[1])
    else:
        table = read_table(custom)
        classes, y = table.classes, table.train.y
        size = sum(len(spaced(text).split()) for text in table.train.members) / len(y)
    counts = torch.bincount(y, minlength=len(classes))
    fit = counts - torch.bincount(y[validation_part(y)], minlength=len(classes))
    even = int(counts.min()) == int(counts.max())
    return Outline(custom.name, custom.title, custom.kind, len(classes), len(y), int(fit.min()), even, size)
