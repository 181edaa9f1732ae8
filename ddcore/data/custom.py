"""Custom data sets: how the command line names them, and what images and texts have in common.

``images:DIR[,side=64][,damaged=skip]``, ``text:FILE[,TESTFILE][,text=COLUMN][,label=COLUMN]`` or
``hf:WHERE[,image=COLUMN|text=COLUMN][,label=COLUMN][,train=SPLIT][,test=SPLIT][,config=NAME]``, the last with
the options of images too.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor

from ddcore.data.task import by_class, others
from ddcore.errors import UsageError, require
from ddcore.runtime import LOG

FORMS = {"images": "images:DIR", "text": "text:FILE", "hf": "hf:WHERE"}
OPTIONS = {
    "images": ("side", "damaged"),
    "text": ("text", "label"),
    "hf": ("image", "text", "label", "train", "test", "config", "side", "damaged"),
}
# What the path of a form names, and how many paths there may be.
PLACES = {"images": ("folder", 1), "text": ("file", 2), "hf": ("data set", 1)}
HUB_NAME = r"\w[\w.-]*(/\w[\w.-]*)?"
# Training members: fewer leave nothing for the test set or for the validation split.
FEWEST = 20
# How the test set is split off, see `held_out`. Part of the content's digest: sets of another rule saw its members.
SPLIT = "the first fifth of each class by a keyed hash of the members, 1"
LONGEST_NAME = 60
Source = TypeVar("Source")


@dataclass(frozen=True)
class CustomData:
    """A custom data set as ``--dataset`` names it.

    Attributes:
        kind: a key of `FORMS`.
        address: as the user typed it.
        paths: one folder; or one or two tables, the second being the test set; empty for a name on the Hub.
        options: those of `OPTIONS` that were typed.
        hub: the name on the Hugging Face Hub, where no folder has this name; otherwise empty.
    """

    kind: str
    address: str
    paths: tuple[Path, ...]
    options: dict[str, str] = field(default_factory=dict)
    hub: str = ""

    @property
    def title(self) -> str:
        """The name of the folder or file, or the name on the Hub."""
        if self.hub:
            return self.hub
        name = self.paths[0].stem if self.kind == "text" else self.paths[0].absolute().resolve().name
        return name.encode(errors="replace").decode()

    @property
    def place(self) -> str:
        """Where the data lie, for a reader."""
        return f"'{self.hub}' on the Hugging Face Hub" if self.hub else str(self.paths[0])

    @property
    def side(self) -> int | None:
        """The side to which images are resized, in pixels; None if they keep their size."""
        return int(self.options["side"]) if "side" in self.options else None

    @property
    def name(self) -> str:
        """The data set's name: valid in file names and different from every name in `DATASETS`."""
        return f"{self.kind}-{re.sub(r'[^A-Za-z0-9_]+', '-', self.title).strip('-')[:LONGEST_NAME] or 'data'}"


@dataclass(frozen=True)
class Part(Generic[Source]):
    """Some members: their files or texts, their class numbers ``(N,)`` int64, and `fingerprint`s of their content."""

    members: list[Source]
    y: Tensor
    fingerprints: list[bytes]

    def __getitem__(self, index: Tensor) -> "Part[Source]":
        """Return the members at the indices ``(K,)`` int64."""
        chosen = index.tolist()
        return Part([self.members[i] for i in chosen], self.y[index], [self.fingerprints[i] for i in chosen])


@dataclass(frozen=True)
class Content(Generic[Source]):
    """The members of a custom data set.

    Attributes:
        classes: the different class names, as `in_order` sorts them.
        train, test: the training set and the test set.
        split: `SPLIT` if the test set was split off, otherwise empty.
    """

    classes: tuple[str, ...]
    train: Part[Source]
    test: Part[Source]
    split: str

    @staticmethod
    def of(
        where: Path | str, classes: tuple[str, ...], whole: Part[Source], test: Part[Source] | None
    ) -> "Content[Source]":
        """Return the content of `where` with its test set, or with the one that `held_out` splits off from `whole`.

        Members of the test set that are training members, too, are counted in a warning.

        Raises:
            UsageError: there is no test set, and a class holds one member only, again and again.
        """
        if test is None:
            for name, members in zip(classes, by_class(whole.y), strict=True):
                own = [whole.fingerprints[i] for i in members.tolist()]
                require(
                    len(set(own)) > 1,
                    f"the {len(own)} members of class '{name}' of {where} are all the same: add others, so that a test "
                    "set can be split off",
                )
            held = held_out(whole.y, whole.fingerprints)
            content = Content(classes, whole[others(held, len(whole.y))], whole[held], SPLIT)
        else:
            content = Content(classes, whole, test, "")
        if content.shared:
            LOG.warning(
                "%d of %d test members of %s are training members, too, so that accuracies come out too high: remove "
                "the copies",
                content.shared,
                len(content.test.y),
                where,
            )
        return content

    @property
    def shared(self) -> int:
        """The number of test members that are training members, too."""
        train = set(self.train.fingerprints)
        return sum(each in train for each in self.test.fingerprints)

    @property
    def sizes(self) -> str:
        """The numbers of members, for a reader."""
        copies = f" ({self.shared:,} of them are training members, too)" if self.shared else ""
        return f"{len(self.train.y):,} for training and {len(self.test.y):,} for testing{copies}"


def parse(address: str) -> CustomData | None:
    """Return the custom data set that ``--dataset`` names; None if it names no custom one.

    A path may contain a comma if nothing follows the path.

    Raises:
        UsageError: a path is missing, cannot be read or is not UTF-8, there are too many, or an option is unknown or
            not a number.
    """
    kind, colon, rest = address.partition(":")
    if not colon or kind not in FORMS:
        return None
    shown = address.encode(errors="backslashreplace").decode()
    require(shown == address, f"--dataset {shown}: this name is not UTF-8: rename the file or folder")
    options: dict[str, str] = {}
    paths = []
    whole = False
    with suppress(UsageError):  # several paths are too long for one name
        whole = bool(rest) and _place(rest, address)[1]
    for part in [rest] if whole else rest.split(","):
        key, equals, value = part.partition("=")
        if equals and key in OPTIONS[kind]:
            options[key] = value
        elif part:
            paths.append(_place(part, address))
    side = options.get("side", "1")
    require(side.isdecimal(), f"--dataset {address}: side={side} is not a number of pixels")
    damaged = options.get("damaged", "skip")
    require(
        damaged == "skip", f"--dataset {address}: damaged={damaged} is unknown; damaged=skip leaves such images out"
    )
    what, most = PLACES[kind]
    require(bool(paths), f"--dataset {address} names no {what}: give {FORMS[kind]}")
    hub = str(paths[0][0]) if kind == "hf" and not paths[0][1] else ""
    if len(paths) == 1 and re.fullmatch(HUB_NAME, hub):
        return CustomData(kind, address, (), options, hub)
    for path, exists in paths[most:] or [place for place in paths if not place[1]]:
        known = ", ".join(f"{option}=" for option in OPTIONS[kind])
        there = "is one path too many" if exists else "is missing"
        raise UsageError(f"--dataset {address}: {path} {there} (after the path, {known} are known)")
    return CustomData(kind, address, tuple(path for path, _ in paths), options)


def _place(word: str, address: str) -> tuple[Path, bool]:
    """Return a path of ``--dataset`` and whether anything is there."""
    try:
        path = Path(word).expanduser()
        return path, path.exists()
    except RuntimeError as error:
        raise UsageError(f"--dataset {address}: the home folder in {word} is unknown: write the whole path") from error
    except OSError as error:
        raise UsageError(f"--dataset {address}: {word} cannot be read: {error.strerror}") from error


def refuse_inside(address: str, out: Path) -> None:
    """Refuse an output folder inside a folder of data, whose files and folders are members and classes.

    Raises:
        UsageError: `address` is ``images:DIR`` or ``hf:DIR``, and `out` is DIR or lies inside it.
    """
    custom = parse(address)
    if custom is not None and custom.kind != "text" and custom.paths:
        folder = custom.paths[0]
        becomes = "images' folder {}, where it would become a class" if custom.kind == "images" else "data set {}"
        require(
            not Path(os.path.realpath(out)).is_relative_to(os.path.realpath(folder)),
            f"--out {out} lies inside the {becomes.format(folder)}: give another folder",
        )


def is_custom(name: str) -> bool:
    """Return whether a data set's name is that of a custom data set."""
    return name.partition("-")[0] in FORMS


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return the different class names, sorted; by value if all are whole numbers."""
    different = sorted(set(names))
    return tuple(
        sorted(different, key=int) if all(re.fullmatch(r"-?\d{1,1000}", name) for name in different) else different
    )


def held_out(y: Tensor, fingerprints: Sequence[bytes]) -> Tensor:
    """Return the fixed test set of data that has none: ``(T,)`` int64 indices, ascending.

    It is the first fifth of each class, rounded, at least one member, in the order of the fingerprints: one more
    member moves at most one other to the other side. Equal members stay on one side, so that the test set of a class
    with copies may be a little smaller or larger.

    Args:
        y: ``(N,)`` int64 labels of all members.
        fingerprints: of the members; at least two different ones in each class.
    """
    chosen: list[int] = []
    for places in filter(len, by_class(y)):
        members = sorted(places.tolist(), key=lambda i: fingerprints[i])
        fifth = max(1, round(len(members) / 5))
        ends = [k for k in range(1, len(members)) if fingerprints[members[k - 1]] != fingerprints[members[k]]]
        chosen += members[: min(ends, key=lambda k: (abs(k - fifth), k))]
    return torch.tensor(sorted(chosen), dtype=torch.int64)


def fingerprint(member: bytes | Path) -> bytes:
    """Return a keyed hash of a member's content: of some bytes, or of a file's.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16, key=b"ddcore own test")
    if isinstance(member, bytes):
        digest.update(member)
    else:
        with open(member, "rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    return digest.digest()


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


def content_key(*parts: bytes | memoryview) -> str:
    """Return a short digest of some bytes, which depends on where each part ends."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
