"""From a file of another tool to a distilled set: checks, pixels, class order, and what a person should look at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ddcore.data import Scale, Task, Tokens
from ddcore.errors import DDCoreError, UsageError, require
from ddcore.runtime import JSONObject, files_digest
from ddcore.sets.checks import check_set
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.formats.class_order import order_line
from ddcore.sets.formats.contract import Format, Members
from ddcore.sets.formats.normalisation import converted, scale_of
from ddcore.sets.formats.registry import FORMATS, IMPORTED, guessed
from ddcore.sets.formats.value_range import range_lines
from ddcore.sets.formats.zca import unwhitened
from ddcore.sets.multi_formation import decoded
from ddcore.sets.origin import Origin


@dataclass(frozen=True)
class Details:
    """What a person says about a file, because the file does not hold it.

    Attributes:
        task: the real data set that the members stand for.
        normalisation: of float images, see `ddcore.sets.formats.normalisation.scale_of`; empty for the format's own.
        zca: file of the whitening that the images were made under, see `ddcore.sets.formats.zca`.
        classes: names of the class numbers in the file's order; empty for the order of the data set.
        factor: tiles per side of a stored image, see `ddcore.sets.multi_formation`.
    """

    task: Task
    normalisation: str = ""
    zca: Path | None = None
    classes: tuple[str, ...] = ()
    factor: int = 1


@dataclass(frozen=True)
class Imported:
    """A set of another tool.

    Attributes:
        small: the set, normalised as the data set is.
        lines: for the user: what was read, the range of its values, and what contradicts the data set.
    """

    small: DistilledSet
    lines: tuple[str, ...]


def import_set(path: Path, details: Details, name: str = "") -> Imported:
    """Return the set in a file or folder of another tool; nothing of it is executed.

    Args:
        path: of the file or folder.
        details: what the file does not hold.
        name: of the format, one of `FORMATS`; empty to guess it from the names of the files.

    Raises:
        UsageError: the format is not clear, or what was said does not fit the file.
        DDCoreError: the file cannot be read, or what it holds cannot be used.
    """
    row = FORMATS[name] if name else guessed(path)
    require(row.read is not None, f"{row.name} is not imported; these are: {', '.join(IMPORTED)}")
    assert row.read is not None
    require(path.exists(), f"{path} is missing")
    task = details.task
    members = row.read(path, task)
    kind = "text" if isinstance(members.x, Tokens) else "images"
    require(kind == task.kind, f"{path} holds {kind}, the data set {task.name} holds {task.kind}")
    members = _in_class_order(_checked(members, path, task), details, path)
    said: JSONObject = {}
    lines: list[str] = [*members.notes]
    if isinstance(members.x, Tensor):
        members, said, told = _as_pixels(members, row, details, path)
        lines += told
    options = {**members.options, **said}
    provenance = {"imported from": path.name, "format": row.name, "file": _digest(path)}
    origin = Origin.of(task, members.method or row.name, options, provenance)
    small = DistilledSet(
        kind="images" if kind == "images" else "tokens",
        x=members.x,
        y=members.y,
        origin=replace(origin, factor=details.factor, texts=members.texts),
        scale=task.scale,
        soft=members.soft,
        temperature=members.temperature,
    )
    try:
        check_set(small, len(small))
    except UsageError as error:
        raise DDCoreError(f"{path} is not used: {error}") from error
    return Imported(small, (counts_line(small), *lines))


def counts_line(small: DistilledSet) -> str:
    """Return a line on how many members a set has, and per class."""
    counts = torch.bincount(small.y, minlength=len(small.classes))
    low, high = int(counts.min()), int(counts.max())
    each = f"{low} per class" if low == high else f"{low} to {high} per class"
    empty = [name for name, count in zip(small.classes, counts.tolist(), strict=True) if not count]
    none = f"; none of {', '.join(empty[:5])}{' …' * (len(empty) > 5)}" if empty else ""
    factor = small.origin.factor
    slots = f", decoded from {len(small) // factor**2:,} stored images (multi-formation, class V)" if factor > 1 else ""
    return f"{len(small):,} members of {len(small.classes)} classes, {each}{none}; {small.labels} labels{slots}"


def _checked(members: Members, path: Path, task: Task) -> Members:
    """Refuse members that contradict themselves or the data set."""
    x, y, classes = members.x, members.y, len(task.classes)
    require(len(y) > 0, f"{path} holds no members", DDCoreError)
    n = len(x)
    require(n == len(y), f"{path} holds {n:,} members and {len(y):,} labels", DDCoreError)
    low, high = int(y.min()), int(y.max())
    line = f"{path} has the labels {low} to {high}, and {task.name} has the classes 0 to {classes - 1}"
    require(low >= 0 and high < classes, line, DDCoreError)
    if members.soft is not None:
        shape = tuple(members.soft.shape)
        require(
            shape == (n, classes),
            f"{path} has soft labels of shape {shape}, not {(n, classes)} as {task.name} needs",
            DDCoreError,
        )
        require(bool(members.soft.isfinite().all()), f"{path} has a soft label that is not finite", DDCoreError)
    if isinstance(x, Tensor):
        require(
            tuple(x.shape[1:]) == task.shape,
            f"{path} has images of shape {tuple(x.shape[1:])}, {task.name} has {task.shape}",
            DDCoreError,
        )
        sound = x.dtype == torch.uint8 or (x.is_floating_point() and bool(x.isfinite().all()))
        require(sound, f"{path} has images with values that are not finite, or not of float or uint8", DDCoreError)
    return members


def _in_class_order(members: Members, details: Details, path: Path) -> Members:
    """Return members whose class numbers are those of the data set."""
    names, wanted = details.classes or members.classes, details.task.classes
    if not names or names == wanted:
        return members
    require(
        sorted(names) == sorted(wanted),
        f"the classes of {path} ({', '.join(names)[:200]}) are not those of {details.task.name} "
        f"({', '.join(wanted)[:200]}): give --classes with these names in the file's order",
    )
    places = torch.tensor([wanted.index(name) for name in names])
    soft = members.soft
    if soft is not None:
        soft = torch.empty_like(soft).index_copy_(1, places, soft)
    moved = ("its classes are brought into the order of the data set",)
    return replace(members, y=places[members.y], soft=soft, notes=(*members.notes, *moved))


def _as_pixels(members: Members, row: Format, details: Details, path: Path) -> tuple[Members, JSONObject, list[str]]:
    """Return images in the normalisation of the data set, what was said about them, and lines on their values."""
    x, y, task = members.x, members.y, details.task
    assert isinstance(x, Tensor)
    said: JSONObject = {}
    if x.dtype == torch.uint8:
        require(
            not (details.normalisation or details.zca),
            f"{path} holds pixels of 8 bits: leave --normalisation and --zca out",
        )
        name, scale = "", Scale((0.0,) * task.shape[0], (1 / 255,) * task.shape[0])
    else:
        name = details.normalisation or ("none" if details.zca else row.normalisation)
        scale = scale_of(name, task)
        said["normalisation"] = name
    x, shown = x if x.dtype == torch.uint8 else x.float(), (float(x.min()), float(x.max()))
    if details.zca:
        x, said["zca"] = unwhitened(x, details.zca), details.zca.name
    soft = members.soft
    if details.factor > 1:
        require(soft is None, f"--factor {details.factor}: {path} has soft labels, and multi-formation has hard ones")
        require(x.dtype != torch.uint8, f"--factor {details.factor}: {path} holds pixels, not what a tool stores")
        x, y = decoded(x, y, details.factor)
        said["factor"] = details.factor
    if x.dtype != torch.uint8:
        x = converted(x, scale, task.scale)
    moved = replace(members, x=x, y=y)
    lines = range_lines(x, shown, name, task)
    if details.zca:
        lines.append(
            "the whitening is undone: networks are trained and tested on unwhitened images, so that scores differ from "
            "published ones"
        )
    return moved, said, [*lines, order_line(x, y, task)]


def _digest(path: Path) -> str:
    """Return a short digest of a file, or of all files of a folder."""
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    return files_digest(path.parent if path.is_file() else path, files)
