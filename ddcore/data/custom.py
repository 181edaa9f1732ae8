"""Custom data sets: how the command line names them, and what images and texts have in common.

``images:DIR[,side=64]`` or ``text:FILE[,TESTFILE][,text=COLUMN][,label=COLUMN]``.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor

from ddcore.data.task import VALIDATION_SEED, others
from ddcore.draws import permutation
from ddcore.errors import UsageError, require

FORMS = {"images": "images:DIR", "text": "text:FILE"}
OPTIONS = {"images": ("side",), "text": ("text", "label")}
# Training members: fewer leave nothing for the test set or for the validation split.
FEWEST = 20
Source = TypeVar("Source")


@dataclass(frozen=True)
class CustomData:
    """A custom data set as ``--dataset`` names it.

    Attributes:
        kind: ``images`` or ``text``.
        address: as the user typed it.
        paths: one folder of images; or one or two tables, the second being the test set.
        options: ``side`` for images, ``text`` and ``label`` for texts.
    """

    kind: str
    address: str
    paths: tuple[Path, ...]
    options: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The name of the folder or file."""
        return self.paths[0].absolute().resolve().name if self.kind == "images" else self.paths[0].stem

    @property
    def name(self) -> str:
        """The data set's name: valid in file names and different from every name in `DATASETS`."""
        return f"{self.kind}-{re.sub(r'[^A-Za-z0-9_]+', '-', self.title).strip('-') or 'data'}"


@dataclass(frozen=True)
class Part(Generic[Source]):
    """Some members: their files or texts, and their class numbers ``(N,)`` int64."""

    members: list[Source]
    y: Tensor

    def __getitem__(self, index: Tensor) -> "Part[Source]":
        """Return the members at the indices ``(K,)`` int64."""
        return Part([self.members[i] for i in index.tolist()], self.y[index])


@dataclass(frozen=True)
class Content(Generic[Source]):
    """The members of a custom data set.

    Attributes:
        classes: the different class names, as `in_order` sorts them.
        train, test: the training set and the test set.
    """

    classes: tuple[str, ...]
    train: Part[Source]
    test: Part[Source]

    @staticmethod
    def of(classes: tuple[str, ...], whole: Part[Source], test: Part[Source] | None) -> "Content[Source]":
        """Return the content with its test set, or with the one that `held_out` splits off from `whole`."""
        if test is not None:
            return Content(classes, whole, test)
        held = held_out(whole.y)
        return Content(classes, whole[others(held, len(whole.y))], whole[held])


def parse(address: str) -> CustomData | None:
    """Return the custom data set that ``--dataset`` names; None if it names no custom one.

    A path may contain a comma if nothing follows the path.

    Raises:
        UsageError: a path is missing, there are too many, or an option is unknown or not a number.
    """
    kind, colon, rest = address.partition(":")
    if not colon or kind not in FORMS:
        return None
    options: dict[str, str] = {}
    paths = []
    for part in [rest] if rest and Path(rest).expanduser().exists() else rest.split(","):
        key, equals, value = part.partition("=")
        if equals and key in OPTIONS[kind]:
            options[key] = value
        elif part:
            paths.append(Path(part).expanduser())
    require(bool(paths), f"--dataset {address} names no {'folder' if kind == 'images' else 'file'}: give {FORMS[kind]}")
    most = 1 if kind == "images" else 2
    for path in paths[most:] or [path for path in paths if not path.exists()]:
        known = ", ".join(f"{option}=" for option in OPTIONS[kind])
        there = "is one path too many" if path.exists() else "is missing"
        raise UsageError(f"--dataset {address}: {path} {there} (after the path, {known} are known)")
    side = options.get("side", "1")
    require(side.isdecimal(), f"--dataset {address}: side={side} is not a number of pixels")
    return CustomData(kind, address, tuple(paths), options)


def is_custom(name: str) -> bool:
    """Return whether a data set's name is that of a custom data set."""
    return name.partition("-")[0] in FORMS


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return the different class names, sorted; by value if all are whole numbers."""
    different = sorted(set(names))
    return tuple(sorted(different, key=int) if all(re.fullmatch(r"-?\d+", name) for name in different) else different)


def held_out(y: Tensor) -> Tensor:
    """Return the fixed test set of data that has none: ``(T,)`` int64 indices, ascending.

    It is a fifth of each class, rounded, at least one member, in a keyed draw.

    Args:
        y: ``(N,)`` int64 labels of all members.
    """
    parts = []
    for number in y.unique().tolist():
        members = (y == number).nonzero().flatten()
        count = max(1, round(len(members) / 5))
        parts.append(members[permutation(len(members), VALIDATION_SEED, "own test", number)[:count]])
    return torch.cat(parts).sort().values


def check_classes(where: Path | str, counts: dict[str, int], *, split: bool) -> None:
    """Refuse a training set from which nothing can be learned.

    Args:
        where: the folder or file, for the error message.
        counts: members per class.
        split: whether the test set is split off from them.

    Raises:
        UsageError: there is only one class, a class is empty or too small to be split, or there are too few members.
    """
    if len(counts) < 2:
        only = f"only one class ('{next(iter(counts))}')" if counts else "no classes"
        raise UsageError(f"{where} holds {only}: at least two are needed")
    need = 2 if split else 1
    for name, count in counts.items():
        if count < need:
            has = "is empty" if count == 0 else f"has {count} member, too few to split off a test set"
            raise UsageError(f"class '{name}' of {where} {has}: add members to it or remove it")
    require(
        sum(counts.values()) >= FEWEST, f"{where} holds {sum(counts.values())} members: at least {FEWEST} are needed"
    )


def content_key(*parts: bytes) -> str:
    """Return a short digest of some bytes, which depends on where each part ends."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
