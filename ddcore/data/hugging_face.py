"""Custom data sets of the Hugging Face library: a folder that it opens, or a name on the Hub."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ddcore.data.custom import Content, CustomData, Part, check_classes, content_key, fingerprint, in_order
from ddcore.data.file_index import FileIndex, place_key
from ddcore.data.hf_cells import Cells
from ddcore.data.hf_columns import Columns, Split, class_names, columns_of, ordered, texts_of
from ddcore.data.hf_splits import open_splits
from ddcore.data.picture_task import Pictures, heads_of, part_of, pictures_of
from ddcore.data.pixel_cache import pixel_folder
from ddcore.data.table import texts_task
from ddcore.data.task import Task
from ddcore.errors import UsageError, require
from ddcore.runtime import LOG, Session

if TYPE_CHECKING:
    from datasets import Dataset

TRAIN, TEST = "train", "test"


@dataclass(frozen=True)
class Labelled:
    """A data set whose columns and labels have been read, but not yet its members.

    Attributes:
        custom: as the user named it.
        columns: those of members and labels.
        classes: the class names that training members have: in their published order, otherwise sorted.
        splits: that of the training set and, unless it is to be split off, that of the test set.
        numbers: of each split the class numbers of its rows, ``(N,)`` int64.
    """

    custom: CustomData
    columns: Columns
    classes: tuple[str, ...]
    splits: list[Split]
    numbers: list[torch.Tensor]

    def texts(self) -> Content[str]:
        """Return the texts. Without a test split, a fifth of every class becomes the test set.

        Raises:
            UsageError: a row has no text.
            DDCoreError: the column is damaged.
        """
        parts = []
        for split, y in zip(self.splits, self.numbers, strict=True):
            texts = texts_of(self.custom, split, self.columns.member)
            parts.append(Part(texts, y, [fingerprint(text.encode()) for text in texts]))
        return Content.of(self.custom.place, self.classes, parts[0], parts[1] if len(parts) > 1 else None)

    def pictures(self, session: Session) -> Pictures:
        """Return the pictures, class by class, with a test set as for `texts`; only headers are decoded.

        Raises:
            UsageError, DDCoreError: as `heads_of` and `pictures_of`.
        """
        orders, taken = [y.sort(stable=True) for y in self.numbers], time.time_ns()
        rows = [order.indices.tolist() for order in orders]
        cells = Cells(self.custom, self.columns.member, [*zip(self.splits, rows, strict=True)])
        home = Path(self.custom.hub) if self.custom.hub else self.custom.paths[0]
        index = FileIndex(pixel_folder() / f"{self.custom.name}-{place_key(home)}.files", *cells.states(), taken)
        heads, fresh = heads_of(self.custom, cells, index, session)
        y, whole = torch.cat([order.values for order in orders]).numpy(), heads.sizes[:, 0] > 0
        parts = [
            part_of(heads, y, begin + np.flatnonzero(whole[begin : begin + len(own)]))
            for begin, own in ((0, rows[0]), *((len(rows[0]), own) for own in rows[1:]))
        ]
        counts = np.bincount(parts[0].y, minlength=len(self.classes)).tolist()
        check_classes(self.custom.place, dict(zip(self.classes, counts, strict=True)), split=len(parts) == 1)
        content = Content.of(self.custom.place, self.classes, parts[0], parts[1] if len(parts) > 1 else None)
        pictures = pictures_of(self.custom, cells, heads, content)
        if fresh and pictures.is_large(3):
            index.keep(heads)
        return pictures


def read_hugging_face(custom: CustomData, session: Session = Session()) -> Pictures | Content[str]:
    """Return the members of a data set: its pictures, before they are decoded, or its texts.

    Args:
        custom: as the user named it.
        session: hears how far it is.

    Raises:
        UsageError: a split or a column is missing, empty, unclear or of another type, a row has no label or no text,
            there is only one class, a class is too small, or the test split has a label that the training split does
            not have; or as `pictures_of`.
        DDCoreError: as `open_splits`; a column or a picture is damaged.
    """
    data = _labelled(custom)
    if data.columns.kind == "image":
        return data.pictures(session)
    for option in {"side", "damaged"} & {*custom.options}:
        raise UsageError(f"--dataset {custom.address}: {option}= is for images, and the members are texts")
    return data.texts()


def hugging_face_task(custom: CustomData, session: Session) -> Task:
    """Return a data set of the Hugging Face library as a task of images or of texts.

    Raises:
        UsageError, DDCoreError: as `read_hugging_face`; a picture is damaged.
    """
    found = read_hugging_face(custom, session)
    if isinstance(found, Pictures):
        return found.task(session)
    # Of the texts themselves, so that it is the same whatever kind of file holds them.
    parts = [part for each in (found.train, found.test) for part in (each.y.numpy().tobytes(), *each.fingerprints)]
    return texts_task(custom, found, content_key(repr(found.classes).encode(), found.split.encode(), *parts))


def _labelled(custom: CustomData) -> Labelled:
    opened, where = open_splits(custom), custom.place
    names = _names(custom, opened)
    splits = [Split(name, opened[name]) for name in names]
    columns = columns_of(custom, splits[0].data)
    for split in splits:
        require(len(split.data) > 0, f"the split '{split.name}' of {where} is empty")
        for column in (columns.member, columns.label):
            require(column in split.data.features, f"the split '{split.name}' of {where} has no column '{column}'")
    labels = [class_names(custom, split, columns.label) for split in splits]
    counts, published = Counter(labels[0]), ordered(splits[0].data, columns.label)
    classes = tuple(name for name in published if name in counts) if published else in_order(counts)
    require(len(set(classes)) == len(classes), f"two classes of {where} have the same name")
    check_classes(where, {name: counts[name] for name in classes}, split=len(splits) == 1)
    if published and len(classes) < len(published):
        left_out = len(published) - len(classes)
        LOG.warning("%d of %d classes of %s have no training members and are left out", left_out, len(published), where)
    for odd in sorted({label for each in labels[1:] for label in each} - set(classes)):
        raise UsageError(
            f"the split '{names[1]}' of {where} has the label '{odd}', which the split '{names[0]}' does not have: "
            "give another split, or write ,test= to split a test set off the training set"
        )
    number = {name: k for k, name in enumerate(classes)}
    return Labelled(
        custom, columns, classes, splits, [torch.tensor([number[name] for name in each]) for each in labels]
    )


def _names(custom: CustomData, splits: dict[str, Dataset]) -> list[str]:
    """Return the name of the training split and, unless a test set is to be split off, that of the test split."""
    options, where, listed = custom.options, custom.place, ", ".join(splits)
    train = options.get(TRAIN) or (next(iter(splits)) if len(splits) == 1 else TRAIN)
    test = options.get(TEST, TEST if TEST in splits and train != TEST else "")
    for option, name in ((TRAIN, train), (TEST, test)):
        if name and name not in splits:
            raise UsageError(f"{where} has no split '{name}': give ,{option}=SPLIT to --dataset, one of: {listed}")
    require(train != test, f"--dataset {custom.address}: the split '{train}' cannot be both training and test set")
    others = [name for name in splits if name != train]
    if others and TEST not in options and not test:
        LOG.warning(
            "a fifth of the split '%s' of %s becomes the test set; to test on another split, add ,test= and one of: %s",
            train,
            where,
            ", ".join(others),
        )
    return [train, test] if test else [train]
