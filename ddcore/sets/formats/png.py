"""A folder of pictures per class, with labels.csv beside them: what people look at, and what ImageFolder reads."""

import csv
import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ddcore.data import EIGHT_BITS, Task, opened
from ddcore.errors import DDCoreError, require
from ddcore.runtime import file_names, write_atomic
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.formats.class_labels import soft_of
from ddcore.sets.formats.contract import Format, Members
from ddcore.sets.formats.limits import check_bytes, check_size
from ddcore.sets.views import pixels

TABLE = "labels.csv"
SUFFIXES = (".png", ".jpg", ".jpeg")


def recognises(path: Path) -> bool:
    """Return whether a folder holds folders of pictures."""
    return path.is_dir() and any(file.suffix.lower() in SUFFIXES for file in path.glob("*/*"))


def read(path: Path, task: Task) -> Members:
    """Return the pictures of a folder per class, class by class, with the labels of labels.csv if it is there."""
    require(path.is_dir(), f"{path} is not a folder", DDCoreError)
    folders = sorted(each for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))
    pictures = [(folder.name, file) for folder in folders for file in _pictures(folder)]
    require(bool(pictures), f"{path} holds no folders of pictures ({', '.join(SUFFIXES)})", DDCoreError)
    channels, height, width = task.shape
    check_bytes(len(pictures) * channels * height * width, f"the pictures in {path}")
    x = np.empty((len(pictures), channels, height, width), dtype=np.uint8)
    for i, (_, file) in enumerate(pictures):
        x[i] = decoded(file, str(file), task)
    images = torch.from_numpy(x)
    if (path / TABLE).exists():
        names = [f"{folder}/{file.name}" for folder, file in pictures]
        classes, y, soft = _labels(path / TABLE, names)
        order = torch.argsort(y, stable=True)
        return Members(images[order], y[order], None if soft is None else soft[order], classes)
    numbers, notes = _folder_classes([folder.name for folder in folders], path, task)
    y = torch.tensor([numbers[folder] for folder, _ in pictures])
    order = torch.argsort(y, stable=True)
    return Members(images[order], y[order], notes=notes)


def write(small: DistilledSet, folder: Path) -> None:
    """Write every image as ``CLASS/NUMBER.png`` and ``labels.csv`` with its class and label probabilities.

    Each class gets a folder of its own, named by `ddcore.runtime.file_names`.
    """
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["file", "class", *small.classes])
    names = file_names(small.classes)
    members = zip(encoded_pictures(small), small.y.tolist(), small.targets().tolist(), strict=True)
    for i, (picture, y, target) in enumerate(members):
        name = f"{names[y]}/{i:05d}.png"
        write_atomic(folder / name, picture)
        writer.writerow([name, small.classes[y], *(f"{share:.6f}" for share in target)])
    write_atomic(folder / TABLE, table.getvalue().encode())


def encoded_pictures(small: DistilledSet) -> list[bytes]:
    """Return the images of a set as PNG files."""
    from PIL import Image

    files = []
    for picture in pixels(small):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, format="PNG")
        files.append(buffer.getvalue())
    return files


def decoded(file: Path | io.BytesIO, name: str, task: Task) -> np.ndarray:
    """Return a picture of a data set's size: ``(C, H, W)`` uint8.

    Raises:
        DDCoreError: it is no picture, damaged, of another size, or of more than 8 bits per channel; the line begins
            with `name`.
    """
    channels, height, width = task.shape
    with opened(file, name) as image:
        size = f"{name} has {image.width}x{image.height} pixels, {task.name} has {width}x{height}"
        require(image.size == (width, height), size, DDCoreError)
        require(image.mode in EIGHT_BITS, f"{name} does not have 8 bits per channel ({image.mode})", DDCoreError)
        array = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return array.reshape(height, width, channels).transpose(2, 0, 1)


def _pictures(folder: Path) -> list[Path]:
    """Return the pictures of a class, sorted; another file is refused."""
    files = sorted(each for each in folder.iterdir() if not each.name.startswith("."))
    for file in files:
        require(file.suffix.lower() in SUFFIXES, f"{file} is not a picture ({', '.join(SUFFIXES)})", DDCoreError)
    return files


def _folder_classes(names: list[str], path: Path, task: Task) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the class number of each folder, and lines for the user."""
    count = len(task.classes)
    own = {name: number for number, name in enumerate(file_names(task.classes))}
    if set(names) <= set(own):
        return own, ()
    if all(name.isdecimal() and int(name) < count for name in names):
        return {name: int(name) for name in names}, ("the names of the folders are the class numbers",)
    require(
        len(names) == count,
        f"{path} has {len(names)} folders, none named as the {count} classes of {task.name}: rename them",
        DDCoreError,
    )
    return (
        {name: number for number, name in enumerate(sorted(names))},
        ("the folders are taken as the classes in sorted order, as torchvision's ImageFolder does",),
    )


def _labels(table: Path, names: list[str]) -> tuple[tuple[str, ...], Tensor, Tensor | None]:
    """Return the classes of labels.csv, and class number and soft label of each picture.

    The column ``file`` is compared with the names of the pictures that are there; it is never used as a path.
    """
    check_size(table)
    try:
        with open(table, encoding="utf-8", newline="") as file:
            head, *rows = [row for row in csv.reader(file, strict=True) if row]
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise DDCoreError(f"{table} is not a readable CSV file ({error})") from error
    classes = tuple(head[2:])
    sound = head[:2] == ["file", "class"] and len(set(classes)) == len(classes) > 0
    require(sound, f"{table} does not begin with file,class and the names of the classes", DDCoreError)
    by_name = {row[0]: row for row in rows}
    y, shares = [], []
    for name in names:
        require(name in by_name, f"{table} has no row for {name}", DDCoreError)
        row = by_name.pop(name)
        require(len(row) == len(head) and row[1] in classes, f"the row of {name} in {table} is damaged", DDCoreError)
        y.append(classes.index(row[1]))
        try:
            shares.append([float(cell) for cell in row[2:]])
        except ValueError as error:
            raise DDCoreError(f"the row of {name} in {table} has a label that is not a number") from error
    require(not by_name, f"{table} names {next(iter(by_name), '')[:80]!r}, which is not there", DDCoreError)
    numbers = torch.tensor(y)
    return classes, numbers, soft_of(torch.tensor(shares, dtype=torch.float64), numbers, table)


FORMAT = Format(
    name="png",
    title="ImageFolder (SRe2L, RDED, DD-Ranking)",
    kinds=("images",),
    layout=f"one folder per class, in it `NUMBER.png` (`.jpg` is read, too), and `{TABLE}` with the columns `file`, "
    "`class` and a probability per class; without the table, folders named as the classes, by their numbers, or in "
    "sorted order",
    recognises=recognises,
    read=read,
    write=write,
    normalisation="",
    lacks="the normalisation, recipe, schedule, provenance; the label temperature (probabilities are written)",
    rounding="images to 1/255 of the range from black to white and clamped to it, which is exact for pixels of real "
    "members; probabilities to 1e-6",
    source="torchvision, `ImageFolder`",
)
