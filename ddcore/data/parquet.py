"""Data sets in the Hugging Face parquet layout: read from a folder, or downloaded into it first."""

import io
from pathlib import Path
from typing import Any

from ddcore.errors import DDCoreError
from ddcore.runtime import write_atomic

# Name at the publisher, and the folder that its files are in there.
PUBLISHERS = {
    "imdb": ("stanfordnlp/imdb", "plain_text"),
    "cifar10": ("uoft-cs/cifar10", "plain_text"),
    "cifar100": ("uoft-cs/cifar100", "cifar100"),
}


def read_split(data: Path, name: str, split: str) -> dict[str, list[Any]]:
    """Return the columns of one split as lists, from ``<data>/<name>/<config>/<split>-*.parquet``.

    The config is the publisher's folder, ``plain_text`` or ``cifar100``.

    Args:
        data: folder of all data sets.
        name: ``imdb``, ``cifar10`` or ``cifar100``.
        split: ``train`` or ``test``.

    Raises:
        DDCoreError: the files are missing and cannot be downloaded, or one is truncated or damaged.
    """
    import pyarrow
    from pyarrow import parquet

    folder = data / name / PUBLISHERS[name][1]
    if not any(folder.glob(f"{split}-*.parquet")):
        _download(folder, name, data)
    columns: dict[str, list[Any]] = {}
    for path in sorted(folder.glob(f"{split}-*.parquet")):
        try:
            table = parquet.read_table(path).to_pydict()
        except (pyarrow.ArrowException, OSError) as error:
            raise DDCoreError(
                f"{path} is truncated or damaged: delete it and run again with network access, "
                "or point --data at a folder that has it"
            ) from error
        for column, values in table.items():
            columns.setdefault(column, []).extend(values)
    return columns


def _download(folder: Path, name: str, data: Path) -> None:
    """Fetch all splits through `datasets` and keep them as parquet files in `folder`."""
    import datasets

    try:
        found = datasets.load_dataset(PUBLISHERS[name][0])
    except Exception as error:  # the library raises many kinds, by cause and version
        raise DDCoreError(
            f"{name} is not in {data} and cannot be downloaded: "
            "connect to the network, or set DDCORE_DATA (or --data) to a folder that has it"
        ) from error
    for split in ("train", "test"):
        buffer = io.BytesIO()
        found[split].to_parquet(buffer)
        write_atomic(folder / f"{split}-00000-of-00001.parquet", buffer.getvalue())
