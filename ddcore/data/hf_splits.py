"""Data sets of the Hugging Face library: opened from a folder or from the Hub, as memory-mapped Arrow tables.

No code is run: the library opens tables and pictures only, and a folder with a loading script is refused.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ddcore.data.custom import CustomData
from ddcore.data.task import cache_dir
from ddcore.errors import DDCoreError, UsageError, require
from ddcore.runtime import read_json

if TYPE_CHECKING:
    from datasets import Dataset

# The folders that `save_to_disk` writes hold one of them.
SAVED = ("dataset_dict.json", "state.json")
# The library's own name of a split that has none.
ONLY = "train"
LONGEST_REASON = 240


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the library's lines, which repeat its errors, and without a terminal its progress bars off the screen."""
    import datasets

    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    levels, bars = [each.level for each in loggers], not datasets.are_progress_bars_disabled()
    for each in loggers:
        each.setLevel(logging.CRITICAL)
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
        if bars:
            datasets.enable_progress_bars()


def open_splits(custom: CustomData) -> dict[str, Dataset]:
    """Return the splits of a data set by name, without reading their members.

    Raises:
        UsageError: the folder holds no data set or a loading script, the data set has several configurations, or it is
            a streaming one.
        DDCoreError: a file is damaged or names one outside its folder, or the Hub cannot be reached or refuses.
    """
    import datasets

    try:
        opened = hub_splits(custom.hub, custom.options.get("config")) if custom.hub else _from_folder(custom)
    except DDCoreError:
        raise
    except Exception as error:  # the library raises many kinds, by cause and version
        raise _refusal(custom, error) from error
    streaming = isinstance(opened, datasets.IterableDataset | datasets.IterableDatasetDict)
    require(
        not streaming,
        f"{custom.place} is a streaming data set, which gives no member by its number: save it with save_to_disk, and "
        "give that folder",
    )
    return {str(name): split for name, split in opened.items()} if isinstance(opened, dict) else {ONLY: opened}


@quiet()
def hub_splits(name: str, config: str | None = None) -> dict[str, Dataset] | Dataset:
    """Return what the Hub has under a name, downloaded into the library's cache if it is not there yet.

    Raises:
        Exception: whatever the library raises.
    """
    import datasets

    return datasets.load_dataset(name, config) if config else datasets.load_dataset(name)


def roots_of(custom: CustomData) -> list[str]:
    """Return the folders in which files that data name may lie: their own, or a cache that the library writes to."""
    import datasets
    from huggingface_hub import constants

    if custom.hub:
        roots = [datasets.config.HF_CACHE_HOME, datasets.config.HF_DATASETS_CACHE, constants.HF_HUB_CACHE]
    else:
        roots = [custom.paths[0], os.path.realpath(custom.paths[0]), _prepared()]
    return [os.path.abspath(root) for root in roots]


def lies_in(path: str, roots: list[str]) -> bool:
    """Return whether a path leads into one of some folders."""
    return any(os.path.abspath(path).startswith(root.rstrip("/") + "/") for root in roots)


def _prepared() -> Path:
    """Return the cache folder in which the library keeps Arrow tables of a folder's files."""
    return cache_dir() / "hugging_face"


@quiet()
def _from_folder(custom: CustomData) -> dict[str, Dataset] | Dataset:
    import datasets

    folder = Path(os.path.abspath(custom.paths[0]))
    require(
        folder.is_dir(),
        f"{folder} is not a folder: hf:WHERE takes a folder or a name on the Hub; for a table, text:FILE",
    )
    if any((folder / name).is_file() for name in SAVED):
        require("config" not in custom.options, f"{folder} was written by save_to_disk and has no ,config=")
        for state in sorted({folder / "state.json", *folder.glob("*/state.json")}):
            record = read_json(state) if state.exists() else None
            named = record.get("_data_files") if isinstance(record, dict) else None
            require(
                named != [], f"{state.parent} is a data set or a split without any rows"
            )  # the library falls over it
            places = (
                [each.get("filename") for each in named if isinstance(each, dict)] if isinstance(named, list) else []
            )
            _check_files(custom, [os.path.join(state.parent, str(place)) for place in places])
        saved = datasets.load_from_disk(str(folder))
        files = [
            file["filename"]
            for split in (saved.values() if isinstance(saved, dict) else [saved])
            for file in split.cache_files
        ]
        _check_files(custom, files)
        return saved
    script = folder / f"{folder.name}.py"
    require(
        not script.exists(), f"{script} is a loading script, and no code of a data set is run: save its data as Parquet"
    )
    _check_card(custom, folder)
    builder = datasets.load_dataset_builder(str(folder), custom.options.get("config"), cache_dir=str(_prepared()))
    _check_files(custom, [file for files in (builder.config.data_files or {}).values() for file in files])
    builder.download_and_prepare()
    return builder.as_dataset()


def _check_files(custom: CustomData, files: list[str]) -> None:
    roots = roots_of(custom)
    for file in files:
        require(
            lies_in(file, roots),
            f"{custom.place} names the file {file} outside its folder, which is not read",
            DDCoreError,
        )


def _check_card(custom: CustomData, folder: Path) -> None:
    """Refuse a folder whose description names files elsewhere: the library would look for them, on any server too."""
    from huggingface_hub import DatasetCard

    for name, frame in (("README.md", "{}"), (".huggingface.yaml", "---\n{}\n---\n")):
        if (folder / name).is_file():
            card = DatasetCard(frame.format((folder / name).read_text(encoding="utf-8")), ignore_metadata_errors=True)
            named = json.dumps(card.data.to_dict().get("configs"), default=str)
            elsewhere = re.search(r"://|\.\./|\"[/~]", named)
            require(
                not elsewhere, f"{custom.place}/{name} names files outside the folder, which are not read", DDCoreError
            )


def _refusal(custom: CustomData, error: Exception) -> DDCoreError:
    """Return the line for what the library said of a data set."""
    from datasets import exceptions

    where, causes = custom.place, list(_causes(error))
    reason = " ".join(str(causes[-1]).split())[:LONGEST_REASON] or type(causes[-1]).__name__
    if "Config name is missing" in str(error):
        return UsageError(f"{where} has several configurations: add ,config=NAME ({reason})")
    if custom.hub and "gated" in str(error):
        return DDCoreError(
            f"{where} is gated: ask for access at https://huggingface.co/datasets/{custom.hub} and log in with "
            "`hf auth login`"
        )
    if custom.hub and isinstance(error, exceptions.DatasetNotFoundError):
        return UsageError(f"'{custom.hub}' is no folder here and no data set on the Hugging Face Hub that may be read")
    if custom.hub and any(isinstance(each, ConnectionError | TimeoutError) for each in causes):
        return DDCoreError(
            f"'{custom.hub}' is no folder here, and the Hugging Face Hub cannot be reached: connect to the network, or "
            "give a folder"
        )
    last = causes[-1]
    if isinstance(last, OSError) and last.strerror:
        return DDCoreError(f"{last.filename or where} cannot be read or written: {last.strerror}")
    if not custom.hub and isinstance(error, FileNotFoundError):
        return UsageError(
            f"{where} holds no data set: neither one written by save_to_disk, nor Parquet files or pictures"
        )
    return DDCoreError(f"{where} cannot be opened, it is damaged or no data set ({reason})")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what caused it, the first cause last."""
    while error is not None:
        yield error
        error = error.__cause__
