"""A user's own texts: a CSV, JSON lines or Parquet file with a column of texts and a column of labels."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ddcore.data.custom import Own, check_classes, content_key, held_out, in_order
from ddcore.data.task import Task
from ddcore.data.text import cache_key, text_task
from ddcore.errors import DDCoreError, UsageError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
LONGEST_FIELD = 2**27


@dataclass(frozen=True)
class Part:
    """Texts and the class number of each."""

    texts: list[str]
    y: torch.Tensor


@dataclass(frozen=True)
class Table:
    """What the user's files hold.

    Attributes:
        classes: the labels as text, sorted, by value if all are whole numbers.
        train, test: the parts.
        key: a short name for the files' content and what is read of it.
    """

    classes: tuple[str, ...]
    train: Part
    test: Part
    key: str


def read_table(own: Own) -> Table:
    """Read the user's files. Without a second one, a fifth of every class is kept for testing, see `held_out`.

    Raises:
        UsageError: a column is missing, a row has no text or label, there is one class only, a class is too small, or
            the test file has a label that the training file does not have.
        DDCoreError: a file cannot be read, or is of another format.
    """
    columns = own.options.get("text", "text"), own.options.get("label", "label")
    found = [_columns_of(path, *columns, own) for path in own.paths]
    texts, labels = found[0]
    classes = in_order(labels)
    counts = Counter(labels)
    check_classes(own.paths[0], {name: counts[name] for name in classes}, split=len(found) == 1)
    whole = _part(texts, labels, classes)
    key = content_key(repr(columns).encode(), *(path.read_bytes() for path in own.paths))
    if len(found) == 2:
        odd = sorted(set(found[1][1]) - set(classes))
        if odd:
            raise UsageError(f"{own.paths[1]} has a label '{odd[0]}' that {own.paths[0]} does not have")
        return Table(classes, whole, _part(*found[1], classes), key)
    held = held_out(whole.y)
    rest = torch.ones(len(whole.y), dtype=torch.bool)
    rest[held] = False
    train, test = (Part([texts[i] for i in part.tolist()], whole.y[part]) for part in (rest.nonzero().flatten(), held))
    return Table(classes, train, test, key)


def table_task(own: Own) -> Task:
    """Return a user's own texts as a task: words and ids come from the training part only.

    Raises:
        UsageError, DDCoreError: as `read_table`.
    """
    table = read_table(own)

    def read(split: str) -> tuple[list[str], torch.Tensor]:
        part = table.train if split == "train" else table.test
        return part.texts, part.y

    key = cache_key([table.key.encode()])
    parts = f"{len(table.train.y):,} for training and {len(table.test.y):,} for testing"
    return text_task(
        name=own.name,
        classes=table.classes,
        read=read,
        key=key,
        test_key=lambda: key,
        source=f"own texts '{own.title}', {parts}, content {table.key}",
        content=table.key,
    )


def _part(texts: list[str], labels: list[str], classes: tuple[str, ...]) -> Part:
    number = {name: k for k, name in enumerate(classes)}
    return Part(texts, torch.tensor([number[label] for label in labels], dtype=torch.int64))


def _columns_of(path: Path, text: str, label: str, own: Own) -> tuple[list[str], list[str]]:
    """Return all texts and labels of a file."""
    texts: list[str] = []
    labels: list[str] = []
    for number, row in enumerate(_rows(path), 1):
        for name in (text, label):
            if name not in row:
                there = ", ".join(str(key)[:30] for key in list(row)[:8])
                raise UsageError(
                    f"{path} has no column '{name}' (row {number} has: {there}): name the columns, as in "
                    f"--dataset {own.words},text=COLUMN,label=COLUMN"
                )
        said, found = row[text], label_name(row[label])
        if not isinstance(said, str) or not said.strip():
            raise UsageError(f"row {number} of {path} has no text in the column '{text}': fill it in or remove the row")
        if found is None:
            raise UsageError(
                f"row {number} of {path} has no label in the column '{label}' that is a word or a whole number: "
                "fill it in or remove the row"
            )
        texts.append(said)
        labels.append(found)
    if not texts:
        raise UsageError(f"{path} holds no rows")
    return texts, labels


def label_name(label: Any) -> str | None:
    """Return the class name that a label stands for; None if it is neither a word nor a whole number."""
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    if isinstance(label, int):
        return str(label)
    return (re.sub(r"\s+", " ", label.strip()) or None) if isinstance(label, str) else None


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Give the rows of a file as dicts.

    Raises:
        DDCoreError: it cannot be read, or is not what its name says.
        UsageError: it has another ending.
    """
    suffix = path.suffix.lower()
    if path.is_dir() or suffix not in SUFFIXES:
        raise UsageError(f"{path} is no table: text:FILE reads {', '.join(SUFFIXES)}")
    try:
        if suffix == ".parquet":
            yield from _parquet(path)
        elif suffix in (".csv", ".tsv"):
            yield from _delimited(path, "," if suffix == ".csv" else "\t")
        else:
            yield from _json_lines(path)
    except UnicodeDecodeError as error:
        raise DDCoreError(f"{path} is not UTF-8 text: save it so, or give it the ending of its format") from error
    except csv.Error as error:
        raise DDCoreError(f"{path} is no {suffix[1:]} file that can be read ({error})") from error
    except OSError as error:
        raise DDCoreError(f"{path} cannot be read: {error.strerror or error}") from error


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow
    from pyarrow import parquet

    try:
        with open(path, "rb") as file:
            yield from parquet.read_table(file).to_pylist()
    except pyarrow.ArrowException as error:
        raise DDCoreError(f"{path} is truncated or damaged, or is no Parquet file") from error


def _delimited(path: Path, delimiter: str) -> Iterator[dict[str, Any]]:
    before = csv.field_size_limit(LONGEST_FIELD)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            for row in reader:
                if None in row or None in row.values():
                    wanted = len(reader.fieldnames or ())
                    raise DDCoreError(
                        f"line {reader.line_num} of {path} has more or fewer than {wanted} fields: put texts with "
                        "a comma or a line break in them into double quotes"
                    )
                yield row
    finally:
        csv.field_size_limit(before)


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                raise DDCoreError(f"line {number} of {path} is not JSON: write one object a line") from error
            if not isinstance(row, dict):
                raise DDCoreError(f"line {number} of {path} is not a JSON object: write one object a line")
            yield row
