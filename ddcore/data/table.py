"""Custom texts: a CSV, JSON lines or Parquet file with a column of texts and a column of labels."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch

from ddcore.data.custom import Content, CustomData, Part, check_classes, content_key, in_order
from ddcore.data.task import Task
from ddcore.data.text import Texts, cache_key, text_task
from ddcore.errors import DDCoreError, UsageError, require

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
LONGEST_FIELD = 2**27
# The cells that have a meaning here; others are refused.
Cell = str | int | float | None


def read_table(custom: CustomData) -> Content[str]:
    """Return the texts of the files. Without a second file, a fifth of every class becomes the test set.

    Raises:
        UsageError: a column is missing, a row has no text or label, there is only one class, a class is too small, or
            the test file has a label that the training file does not have.
        DDCoreError: a file cannot be read, or has another format.
    """
    files = [_columns_of(path, *_names(custom), custom) for path in custom.paths]
    labels = files[0][1]
    classes = in_order(labels)
    counts = Counter(labels)
    check_classes(custom.paths[0], {name: counts[name] for name in classes}, split=len(files) == 1)
    for odd in sorted({label for _, its_labels in files[1:] for label in its_labels} - set(classes)):
        raise UsageError(f"{custom.paths[1]} has a label '{odd}' that {custom.paths[0]} does not have")
    number = {name: k for k, name in enumerate(classes)}
    whole, *test = (Part(texts, torch.tensor([number[label] for label in labels])) for texts, labels in files)
    return Content.of(classes, whole, test[0] if test else None)


def table_task(custom: CustomData) -> Task:
    """Return custom texts as a task; the vocabulary comes from the training set only.

    Raises:
        UsageError, DDCoreError: as `read_table`.
    """
    table = read_table(custom)

    def read(split: str) -> tuple[list[str], torch.Tensor]:
        part = table.train if split == "train" else table.test
        return part.members, part.y

    content = content_key(repr(_names(custom)).encode(), *(path.read_bytes() for path in custom.paths))
    key = cache_key([content.encode()])
    parts = f"{len(table.train.y):,} for training and {len(table.test.y):,} for testing"
    return text_task(
        custom.name,
        table.classes,
        Texts(read, lambda split: key),
        source=f"custom texts '{custom.title}', {parts}, content {content}",
        content=content,
    )


def _names(custom: CustomData) -> tuple[str, str]:
    """Return the names of the columns of texts and of labels."""
    return custom.options.get("text", "text"), custom.options.get("label", "label")


def _columns_of(path: Path, text: str, label: str, custom: CustomData) -> tuple[list[str], list[str]]:
    """Return all texts and labels of a file."""
    texts, labels = [], []
    for number, row in enumerate(_rows(path), 1):
        for name in (text, label):
            if name not in row:
                columns = ", ".join(str(key)[:30] for key in list(row)[:8])
                raise UsageError(
                    f"{path} has no column '{name}' (row {number} has: {columns}): name the columns, as in "
                    f"--dataset {custom.address},text=COLUMN,label=COLUMN"
                )
        content, name_of_class = row[text], label_name(row[label])
        if not isinstance(content, str) or not content.strip():
            raise UsageError(f"row {number} of {path} has no text in the column '{text}': fill it in or remove the row")
        if name_of_class is None:
            raise UsageError(
                f"row {number} of {path} has no label in the column '{label}' that is a word or a whole number: "
                "fill it in or remove the row"
            )
        texts.append(content)
        labels.append(name_of_class)
    require(bool(texts), f"{path} holds no rows")
    return texts, labels


def label_name(label: Cell) -> str | None:
    """Return the class name of a label; None if the label is neither a word nor a whole number."""
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    if isinstance(label, int):
        return str(label)
    return (re.sub(r"\s+", " ", label.strip()) or None) if isinstance(label, str) else None


def _rows(path: Path) -> Iterator[dict[str, Cell]]:
    """Yield the rows of a file as dicts.

    Raises:
        DDCoreError: the file cannot be read, or has another format than its suffix says.
        UsageError: the suffix is unknown.
    """
    suffix = path.suffix.lower()
    require(not path.is_dir() and suffix in SUFFIXES, f"{path} is not a table: text:FILE reads {', '.join(SUFFIXES)}")
    try:
        if suffix == ".parquet":
            yield from _parquet(path)
        elif suffix in (".csv", ".tsv"):
            yield from _delimited(path, "," if suffix == ".csv" else "\t")
        else:
            yield from _json_lines(path)
    except UnicodeDecodeError as error:
        raise DDCoreError(f"{path} is not UTF-8 text: save it as UTF-8, or give it the suffix of its format") from error
    except csv.Error as error:
        raise DDCoreError(f"{path} is not a readable {suffix[1:]} file ({error})") from error
    except OSError as error:
        raise DDCoreError(f"{path} cannot be read: {error.strerror or error}") from error


def _parquet(path: Path) -> Iterator[dict[str, Cell]]:
    import pyarrow
    from pyarrow import parquet

    try:
        with open(path, "rb") as file:
            yield from parquet.read_table(file).to_pylist()
    except pyarrow.ArrowException as error:
        raise DDCoreError(f"{path} is truncated or damaged, or is not a Parquet file") from error


def _delimited(path: Path, delimiter: str) -> Iterator[dict[str, Cell]]:
    limit = csv.field_size_limit(LONGEST_FIELD)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            for row in reader:
                if None in row or None in row.values():
                    fields = len(reader.fieldnames or ())
                    raise DDCoreError(
                        f"line {reader.line_num} of {path} has more or fewer than {fields} fields: put texts "
                        "that contain a comma or a line break into double quotes"
                    )
                yield row
    finally:
        csv.field_size_limit(limit)


def _json_lines(path: Path) -> Iterator[dict[str, Cell]]:
    with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                raise DDCoreError(f"line {number} of {path} is not JSON: write one object per line") from error
            if not isinstance(row, dict):
                raise DDCoreError(f"line {number} of {path} is not a JSON object: write one object per line")
            yield row
