"""Custom texts: a CSV, JSON lines or Parquet file with a column of texts and a column of labels."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from ddcore.data.custom import Content, CustomData, Part, check_classes, content_key, fingerprint, in_order
from ddcore.data.parquet import Columns, read_columns
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

    Of a Parquet file, only the two columns are read.
    """
    files = [_columns_of(path, *_names(custom), custom) for path in custom.paths]
    labels = files[0][1]
    classes = in_order(labels)
    counts = Counter(labels)
    check_classes(custom.paths[0], {name: counts[name] for name in classes}, split=len(files) == 1)
    for odd in sorted({label for _, its_labels in files[1:] for label in its_labels} - set(classes)):
        raise UsageError(f"{custom.paths[1]} has a label '{odd}' that {custom.paths[0]} does not have")
    number = {name: k for k, name in enumerate(classes)}
    whole, *test = (
        Part(texts, torch.tensor([number[label] for label in labels]), [fingerprint(text.encode()) for text in texts])
        for texts, labels in files
    )
    return Content.of(custom.paths[0], classes, whole, test[0] if test else None)


def table_task(custom: CustomData) -> Task:
    """Return custom texts as a task; the vocabulary comes from the training set only.

    Raises:
        UsageError, DDCoreError: as `read_table`.
    """
    table = read_table(custom)
    split = [table.split.encode()] if table.split else []
    content = content_key(repr(_names(custom)).encode(), *split, *(path.read_bytes() for path in custom.paths))
    return texts_task(custom, table, content)


def texts_task(custom: CustomData, texts: Content[str], content: str) -> Task:
    """Return custom texts as a task; `content` is their digest.

    Raises:
        UsageError: as `text_task`.
    """
    key = cache_key([content.encode()])

    def read(split: str) -> tuple[list[str], torch.Tensor]:
        part = texts.train if split == "train" else texts.test
        return part.members, part.y

    return text_task(
        custom.name,
        texts.classes,
        Texts(read, lambda split: key),
        source=f"custom texts '{custom.title}', {texts.sizes}, content {content}",
        content=content,
    )


def _names(custom: CustomData) -> tuple[str, str]:
    """Return the names of the columns of texts and of labels."""
    return custom.options.get("text", "text"), custom.options.get("label", "label")


def _columns_of(path: Path, text: str, label: str, custom: CustomData) -> tuple[list[str], list[str]]:
    """Return all texts and labels of a file."""
    remedy = f"name the columns, as in --dataset {custom.address},text=COLUMN,label=COLUMN"
    texts, labels = [], []
    for number, row in enumerate(_rows(path, (text, label), remedy), 1):
        for name in (text, label):
            if name not in row:
                columns = ", ".join(str(key)[:30] for key in list(row)[:8])
                raise UsageError(f"{path} has no column '{name}' (row {number} has: {columns}): {remedy}")
        content, name_of_class = row[text], label_name(row[label])
        if not isinstance(content, str) or not content.strip():
            raise UsageError(f"row {number} of {path} has no text in the column '{text}': fill it in or remove the row")
        if name_of_class is None:
            raise UsageError(
                f"row {number} of {path} has no label in the column '{label}' that is a word or a whole number: "
                "fill it in or remove the row"
            )
        for cell in (content, name_of_class):
            require(
                cell.encode(errors="replace").decode() == cell,
                f"row {number} of {path} holds a sign that is none of Unicode (half of a pair): replace it",
                DDCoreError,
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


def _rows(path: Path, names: Sequence[str], remedy: str) -> Iterator[dict[str, Cell]]:
    """Yield the rows of a file as dicts.

    Args:
        path: of the file.
        names: of the columns that are needed; each may be there once.
        remedy: for the error messages on columns.

    Raises:
        DDCoreError: the file cannot be read, or has another format than its suffix says.
        UsageError: the suffix is unknown, or a needed column occurs twice.
    """
    suffix = path.suffix.lower()
    require(path.is_file() and suffix in SUFFIXES, f"{path} is not a table: text:FILE reads {', '.join(SUFFIXES)}")
    try:
        if suffix == ".parquet":
            columns = _parquet(path, names, remedy)
            for cells in zip(*columns.values(), strict=True):
                yield dict(zip(columns, cells, strict=True))
        elif suffix in (".csv", ".tsv"):
            with open(path, encoding="utf-8-sig", newline="") as file:
                yield from _delimited(path, list(file), names, "," if suffix == ".csv" else "\t")
        else:
            yield from _json_lines(path, names)
    except UnicodeDecodeError as error:
        raise DDCoreError(f"{path} is not UTF-8 text: save it as UTF-8, or give it the suffix of its format") from error
    except csv.Error as error:
        raise DDCoreError(f"{path} is not a readable {suffix[1:]} file ({error})") from error
    except OSError as error:
        raise DDCoreError(f"{path} cannot be read: {error.strerror or error}") from error


def _parquet(path: Path, names: Sequence[str], remedy: str) -> Columns:
    try:
        return read_columns(path, names)
    except UsageError as error:
        raise UsageError(f"{error}: {remedy}") from error


def _delimited(path: Path, lines: list[str], names: Sequence[str], delimiter: str) -> Iterator[dict[str, Cell]]:
    """Yield the rows of CSV or tab-separated text.

    Tab-separated files are often written without any quoting. If all lines have as many tabs, each line is a row, and a
    quotation mark at its begin is no reason to read on in the next one.

    Raises:
        DDCoreError: a row has more or fewer fields than the first, or lines can be read as one row and as several.
    """
    widths = [line.count("\t") for line in lines if line.strip("\r\n")] if delimiter == "\t" else []
    if widths and min(widths) == max(widths):
        rows = (line.rstrip("\r\n").split("\t") for line in lines if line.strip("\r\n"))
        lines = ["\t".join(map(_quoted, row)) for row in rows]
    limit = csv.field_size_limit(LONGEST_FIELD)
    try:
        reader = csv.DictReader(lines, delimiter=delimiter, strict=True)
        fields = list(reader.fieldnames or ())
        for name in names:
            require(fields.count(name) < 2, f"{path} has the column '{name}' twice: rename one of them")
        begin = reader.line_num
        for row in reader:
            span = [line.count("\t") for line in lines[begin : reader.line_num] if line.strip("\r\n")]
            begin = reader.line_num
            if None in row or None in row.values():
                raise DDCoreError(
                    f"line {begin} of {path} has more or fewer than {len(fields)} fields: put texts "
                    "that contain a comma or a line break into double quotes"
                )
            if delimiter == "\t" and len(span) > 1 and {*span} == {len(fields) - 1}:
                raise DDCoreError(
                    f"the {len(span)} lines of {path} up to line {begin} could be one row or {len(span)}: put texts "
                    'that contain a double quote into double quotes, and write the inner ones as ""'
                )
            yield row
    finally:
        csv.field_size_limit(limit)


def _quoted(field: str) -> str:
    """Return a field of an unquoted row so that the csv module reads it as it is; one in proper quotes is left."""
    return field if re.fullmatch('"([^"]|"")*"', field) else '"' + field.replace('"', '""') + '"'


def _json_lines(path: Path, names: Sequence[str]) -> Iterator[dict[str, Cell]]:
    def row_of(pairs: list[tuple[str, Cell]]) -> dict[str, Cell]:
        keys = [key for key, _ in pairs]
        for name in names:
            require(keys.count(name) < 2, f"{path} has the column '{name}' twice in one row: rename one of them")
        return dict(pairs)

    with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line, object_pairs_hook=row_of)
            except (ValueError, RecursionError) as error:  # a number of 5,000 digits is no JSONDecodeError
                raise DDCoreError(f"line {number} of {path} is not JSON: write one object per line") from error
            if not isinstance(row, dict):
                raise DDCoreError(f"line {number} of {path} is not a JSON object: write one object per line")
            yield row
