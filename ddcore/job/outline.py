"""The facts about a data set that a plan depends on."""

from dataclasses import dataclass

import torch

from ddcore.data import Own, common_size, read_folder, read_table, validation_part


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
    outline.name: outline
    for outline in (
        Outline("digits", "digits", "images", 10, 1437, 120, False, 64),
        Outline("mnist", "MNIST", "images", 10, 60000, 4900, False, 784),
        Outline("fashion_mnist", "Fashion-MNIST", "images", 10, 60000, 5500, True, 784),
        Outline("svhn", "SVHN", "images", 10, 73257, 4100, False, 1024),
        Outline("cifar10", "CIFAR-10", "images", 10, 50000, 4500, True, 1024),
        Outline("cifar100", "CIFAR-100", "images", 100, 50000, 450, True, 1024),
        Outline("imdb", "IMDB", "text", 2, 25000, 11250, True, 230),
    )
}


def custom_outline(own: Own) -> Outline:
    """Return the outline of a user's own data; of images only the headers are read.

    Raises:
        UsageError, DDCoreError: as for `ddcore.data.load_task`.
    """
    if own.kind == "images":
        folder = read_folder(own)
        side = int(own.options["side"]) if "side" in own.options else None
        width, height = common_size([*folder.train.paths, *folder.test.paths], side, own)
        classes, y, size = folder.classes, folder.train.y, float(width * height)
    else:
        table = read_table(own)
        classes, y = table.classes, table.train.y
        size = sum(len(text.split()) for text in table.train.texts) / len(y)
    counts = torch.bincount(y, minlength=len(classes))
    fit = counts - torch.bincount(y[validation_part(y)], minlength=len(classes))
    even = int(counts.min()) == int(counts.max())
    return Outline(own.name, own.title, own.kind, len(classes), len(y), int(fit.min()), even, size)
