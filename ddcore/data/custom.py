"""A user's own data set as it is named on the command line, and what own images and own texts share.

``images:DIR[,side=64]`` or ``text:FILE[,TESTFILE][,text=COLUMN][,label=COLUMN]``.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ddcore.data.task import VALIDATION_SEED
from ddcore.draws import permutation
from ddcore.errors import UsageError

FORMS = {"images": "images:DIR", "text": "text:FILE"}
OPTIONS = {"images": ("side",), "text": ("text", "label")}
# Members for training: fewer leave nothing for testing or for the validation part.
FEWEST = 20


@dataclass(frozen=True)
class Own:
    """What the user said.

    Attributes:
        kind: ``images`` or ``text``.
        words: as they were typed.
        paths: one folder of images; or one table, or two, the second for the test part.
        options: ``side`` for images, ``text`` and ``label`` for texts.
    """

    kind: str
    words: str
    paths: tuple[Path, ...]
    options: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The folder's or file's own name."""
        return self.paths[0].absolute().resolve().name if self.kind == "images" else self.paths[0].stem

    @property
    def name(self) -> str:
        """The data set's name: fit for file names, and none that ddcore knows."""
        return f"{self.kind}-{re.sub(r'[^A-Za-z0-9_]+', '-', self.title).strip('-') or 'data'}"


def parse(words: str) -> Own | None:
    """Return what ``--dataset`` says about a data set of the user's; None if it is no such name.

    A path with a comma in it can be given if nothing follows it.

    Raises:
        UsageError: a path is missing, there are too many, or an option is unknown or is no number.
    """
    kind, colon, rest = words.partition(":")
    if not colon or kind not in FORMS:
        return None
    whole = Path(rest).expanduser()
    options: dict[str, str] = {}
    paths = []
    for part in [rest] if rest and whole.exists() else rest.split(","):
        key, equals, value = part.partition("=")
        if equals and key in OPTIONS[kind]:
            options[key] = value
        elif part:
            paths.append(Path(part).expanduser())
    if not paths:
        raise UsageError(f"--dataset {words} names no {'folder' if kind == 'images' else 'file'}: give {FORMS[kind]}")
    most = 1 if kind == "images" else 2
    for path in paths[most:] or [path for path in paths if not path.exists()]:
        known = ", ".join(f"{option}=" for option in OPTIONS[kind])
        there = "is one path too many" if path.exists() else "is missing"
        raise UsageError(f"--dataset {words}: {path} {there} (after the path, {known} are known)")
    side = options.get("side", "1")
    if not side.isdecimal():
        raise UsageError(f"--dataset {words}: side={side} is no number of pixels")
    return Own(kind, words, tuple(paths), options)


def is_own(name: str) -> bool:
    """Whether a data set's name is that of a user's own data."""
    return name.partition("-")[0] in FORMS


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return class names sorted, by value if all are whole numbers."""
    found = set(names)
    numbers = all(re.fullmatch(r"-?\d+", name) for name in found)
    return tuple(sorted(found, key=lambda name: (int(name), name) if numbers else (0, name)))


def held_out(y: Tensor) -> Tensor:
    """Return the fixed test part of data that came without one: ``(T,)`` int64 indices, ascending.

    A fifth of each class, rounded, at least one member, drawn by a key.

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
    """Refuse a training part that nothing can be learned from.

    Args:
        where: the folder or file, for the line.
        counts: members by class.
        split: whether a test part is to be taken from them.

    Raises:
        UsageError: there is one class only, one is empty or too small to be split, or there are too few members.
    """
    if len(counts) < 2:
        only = f"one class only ('{next(iter(counts))}')" if counts else "no classes"
        raise UsageError(f"{where} holds {only}: at least two are needed")
    need = 2 if split else 1
    for name, count in counts.items():
        if count < need:
            has = "is empty" if count == 0 else f"has {count} member, too few to keep some for testing"
            raise UsageError(f"class '{name}' of {where} {has}: add members to it or remove it")
    if sum(counts.values()) < FEWEST:
        raise UsageError(f"{where} holds {sum(counts.values())} members: at least {FEWEST} are needed")


def content_key(*parts: bytes) -> str:
    """Return a short name for some bytes."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
