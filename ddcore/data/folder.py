"""Custom images: one folder per class."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ddcore.data.custom import Content, CustomData, check_classes, in_order
from ddcore.data.file_index import FileIndex, place_key
from ddcore.data.picture_task import Pictures, heads_of, part_of, pictures_of
from ddcore.data.pixel_cache import pixel_folder
from ddcore.data.task import Task
from ddcore.errors import UsageError, require
from ddcore.runtime import Session


class Files:
    """Pictures in files.

    Attributes:
        paths: of the N files.
        y: ``(N,)`` class numbers.
        states: ``(N, 4)``, as in `FileIndex`.
    """

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.y: list[int] = []
        self.states: list[tuple[int, int, int, int]] = []

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[str, Path]:
        return self.paths[i], Path(self.paths[i])

    def add(self, home: Path, names: Sequence[str]) -> None:
        """Add the files of every class, sorted by name.

        Raises:
            UsageError: a class folder holds something else than files.
        """
        for number, name in enumerate(names):
            with os.scandir(home / name) as entries:
                inside = sorted((each for each in entries if not each.name.startswith(".")), key=lambda each: each.name)
            for each in inside:
                if each.is_dir():
                    where = f"put the images directly into {home / name}"
                    raise UsageError(f"{each.path} is a folder inside class '{name}': {where}")
                if not each.is_file():
                    raise UsageError(f"{each.path} is not a file that can be read: remove it")
                state = each.stat()
                self.paths.append(each.path)
                self.states.append((state.st_size, state.st_ino, state.st_mtime_ns, state.st_ctime_ns))
            self.y += [number] * len(inside)


def read_folder(custom: CustomData, session: Session = Session()) -> Pictures:
    """Return the images of every class, before they are decoded.

    If ``DIR/train`` holds folders, ``DIR/train`` is the training set, ``DIR/test`` the test set, and everything else
    in ``DIR`` is ignored. Without ``DIR/test``, a fifth of every class becomes the test set, see `held_out`. Names that
    begin with a dot and files beside the class folders are ignored. With the option ``damaged=skip``, damaged images
    are counted in a warning and left out.

    Args:
        custom: the data set.
        session: hears how far it is.

    Raises:
        UsageError: it is not a folder of class folders, a folder or file cannot be read or has a name that is not
            UTF-8, a class is empty or too small, there is only one class, the test set has other classes, or the
            images' size cannot be used.
        DDCoreError: a file is not an image, is damaged, or has more than 8 bits per channel.
    """
    try:
        return _read_folder(custom, session)
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be read: {error.strerror}") from error


def folder_task(custom: CustomData, session: Session = Session()) -> Task:
    """Return custom images as a task, see `read_folder` and `Pictures.task`."""
    return read_folder(custom, session).task(session)


def _read_folder(custom: CustomData, session: Session) -> Pictures:
    root = custom.paths[0]
    require(root.is_dir(), f"{root} is not a folder: images:DIR needs a folder that holds one folder per class")
    has_train = (root / "train").is_dir() and bool(_folders(root / "train"))
    home = root / "train" if has_train else root
    test_home = root / "test" if has_train and (root / "test").is_dir() else None
    names = in_order(path.name for path in _folders(home))
    require(bool(names), f"{home} holds no folders: images:DIR needs one folder per class, with its images inside")
    if test_home is not None:
        test_names = {path.name for path in _folders(test_home)}
        if test_names != set(names):
            odd = sorted(test_names ^ set(names))[0]
            raise UsageError(f"{home} and {test_home} must hold the same classes: '{odd}' is in only one of them")
    files, taken = Files(), time.time_ns()
    files.add(home, names)
    count = len(files)
    if test_home is not None:
        files.add(test_home, names)
    y = np.array(files.y, np.int64)

    def parts(members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which members come from which home; each class must have enough in both."""
        whole, test = members[members < count], members[members >= count]
        counts = np.bincount(y[whole], minlength=len(names)).tolist()
        check_classes(home, dict(zip(names, counts, strict=True)), split=test_home is None)
        for name, number in zip(names, np.bincount(y[test], minlength=len(names)).tolist(), strict=True):
            require(test_home is None or number > 0, f"class '{name}' of {test_home} is empty: add images to it")
        return whole, test

    parts(np.arange(len(files)))
    index = FileIndex(
        pixel_folder() / f"{custom.name}-{place_key(root)}.files",
        [path[len(str(root)) + 1 :] for path in files.paths],
        np.array(files.states, np.int64),
        taken,
    )
    heads, fresh = heads_of(custom, files, index, session)
    whole, test = parts(np.flatnonzero(heads.sizes[:, 0]))
    own_test = part_of(heads, y, test) if test_home else None
    content = Content.of(root if test_home else home, names, part_of(heads, y, whole), own_test)
    pictures = pictures_of(custom, files, heads, content)
    if fresh and pictures.is_large(3):
        index.keep(heads)
    return pictures


def _folders(path: Path) -> list[Path]:
    folders = sorted(each for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))
    for each in folders:
        shown = str(each).encode(errors="backslashreplace").decode()
        require(shown == str(each), f"the name of the folder {shown} is not UTF-8: rename it")
    return folders
