"""Texts as JSON lines, as DiLM writes them and as the `datasets` library reads them."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ddcore.data import Task, encode
from ddcore.errors import DDCoreError, require
from ddcore.runtime import JSONObject, write_atomic
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.formats.class_labels import SUM, soft_of
from ddcore.sets.formats.contract import Format, Members
from ddcore.sets.formats.limits import check_size
from ddcore.sets.formats.wording import reading_lines

SUFFIXES = (".jsonl", ".ndjson", ".json")
TEXTS, LABELS, SOFT = ("sentence", "text"), ("labels", "label"), ("soft_label", "soft_labels")
FILE = "set.jsonl"
SEPARATORS = re.compile("[\x85\u2028\u2029]")
"""Signs that many readers take for the end of a line; JSON may hold them as they are."""


@dataclass(frozen=True)
class Row:
    """One member: its text, its class number or None, and its probabilities per class or None."""

    text: str
    label: int | None
    shares: list[float] | None


def recognises(path: Path) -> bool:
    """Return whether a file has the suffix of JSON lines."""
    return path.is_file() and path.suffix.lower() in SUFFIXES


def read(path: Path, task: Task) -> Members:
    """Return the texts of a file, tokenised with the vocabulary of a data set.

    Raises:
        DDCoreError: the file cannot be read, or a line of it cannot be used; the message names the line.
    """
    tokeniser = task.tokeniser
    if tokeniser is None:
        raise DDCoreError(f"{path} holds texts, the data set {task.name} holds images")
    rows = list(_rows(path, task))
    require(bool(rows), f"{path} holds no lines", DDCoreError)
    y, soft = _labels(rows, path)
    texts = tuple(row.text for row in rows)
    x = encode(tokeniser, texts)
    return Members(x, y, soft, texts=texts, notes=reading_lines(x, task))


def write(small: DistilledSet, folder: Path) -> None:
    """Write `FILE` with ``sentence``, ``labels`` (the class number) and, for soft labels, ``soft_label``.

    Args:
        small: the set, with a text for each member in ``small.texts``.
        folder: to write to.
    """
    rows = []
    for text, y, shares in zip(small.texts, small.y.tolist(), _probabilities(small), strict=True):
        soft = {} if small.soft is None else {SOFT[0]: shares}
        row = json.dumps({TEXTS[0]: text, LABELS[0]: y, **soft}, ensure_ascii=False)
        rows.append(SEPARATORS.sub(lambda sign: f"\\u{ord(sign[0]):04x}", row))
    write_atomic(folder / FILE, "".join(f"{row}\n" for row in rows).encode())


def _probabilities(small: DistilledSet) -> list[list[float]]:
    """Return the probabilities of the labels of each member, to 8 digits."""
    return [[float(f"{share:.8g}") for share in row] for row in small.targets().tolist()]


def _rows(path: Path, task: Task) -> Iterator[Row]:
    """Yield the members of a file."""
    check_size(path)
    try:
        with open(path, encoding="utf-8-sig", newline="\n") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _row(line, f"line {number} of {path}", task)
    except UnicodeDecodeError as error:
        raise DDCoreError(f"{path} is not UTF-8 text") from error
    except OSError as error:
        raise DDCoreError(f"{path} cannot be read: {error.strerror or error}") from error


def _row(line: str, where: str, task: Task) -> Row:
    """Return the member of a line; `where` names it."""

    def once(pairs: list[tuple[str, object]]) -> JSONObject:
        names = Counter(name for name, _ in pairs)
        double = next((name for name, times in names.items() if times > 1), None)
        require(double is None, f"{where} has '{_shown(double)}' twice", DDCoreError)
        return dict(pairs)

    try:
        row = json.loads(line, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is no JSONDecodeError
        raise DDCoreError(f"{where} is not JSON: one object per line is read") from error
    require(isinstance(row, dict), f"{where} is not a JSON object", DDCoreError)
    text = _one_of(row, TEXTS, where)
    if not isinstance(text, str) or not text.strip():
        raise DDCoreError(f"{where} has no text: one of the columns {', '.join(TEXTS)} is read ({_names(row)})")
    whole = text.encode(errors="replace").decode() == text
    require(whole, f"{where} holds a sign that is none of Unicode (half of a pair)", DDCoreError)
    label, shares = _one_of(row, LABELS, where), _one_of(row, SOFT, where)
    if isinstance(label, list):
        require(shares is None, f"{where} has two soft labels", DDCoreError)
        label, shares = None, label
    require(label is not None or shares is not None, f"{where} has no label ({_names(row)})", DDCoreError)
    number = None if label is None else _class_number(label, where, task)
    return Row(text, number, None if shares is None else _shares(shares, where, len(task.classes)))


def _one_of(row: JSONObject, names: tuple[str, ...], where: str) -> object:
    """Return the value of the one column that is there; None without any."""
    present = [name for name in names if row.get(name) is not None]
    require(len(present) < 2, f"{where} has both {' and '.join(present)}: leave one out", DDCoreError)
    return row[present[0]] if present else None


def _class_number(label: object, where: str, task: Task) -> int:
    """Return the class number of a label, which is a number or a class's name."""
    if isinstance(label, str) and label in task.classes:
        return task.classes.index(label)
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    last = len(task.classes) - 1
    line = (
        f"{where} has the label {_shown(label)}, and {task.name} has the classes 0 to {last} ("
        f"{_shown(', '.join(task.classes))})"
    )
    require(type(label) is int and 0 <= label <= last, line, DDCoreError)
    assert isinstance(label, int)
    return label


def _shares(value: object, where: str, classes: int) -> list[float]:
    """Return the probabilities of a soft label."""
    line = f"{where} has a soft label that is not {classes} probabilities with the sum 1"
    require(isinstance(value, list) and len(value) == classes, line, DDCoreError)
    assert isinstance(value, list)
    require(all(type(each) in (int, float) and 0 <= each < 1 + SUM for each in value), line, DDCoreError)
    require(abs(sum(value) - 1) < SUM, line, DDCoreError)
    return [float(each) for each in value]


def _labels(rows: list[Row], path: Path) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the class numbers of all rows, and the logits of their soft labels if they have some."""
    soft = [row.shares for row in rows if row.shares is not None]
    require(len(soft) in (0, len(rows)), f"{path} has soft labels on {len(soft)} of {len(rows)} lines", DDCoreError)
    if not soft:
        return torch.tensor([row.label for row in rows]), None
    shares = torch.tensor(soft, dtype=torch.float64)
    likely = zip(rows, shares.argmax(1).tolist(), strict=True)
    y = torch.tensor([probable if row.label is None else row.label for row, probable in likely])
    return y, soft_of(shares, y, path)


def _names(row: JSONObject) -> str:
    return f"it has: {_shown(', '.join(list(row)[:8]))}" if row else "it has none"


def _shown(value: object) -> str:
    """Return a value of a file on one line, shortened."""
    return re.sub(r"[^ -~]", "?", value if isinstance(value, str) else repr(value))[:80]


FORMAT = Format(
    name="jsonl",
    title="JSON lines of texts (DiLM, `datasets`)",
    kinds=("tokens", "embeddings"),
    layout="one file of UTF-8 with an object per line: the text as `sentence` or `text`; `labels` or `label`, a class "
    "number, the name of a class, or a list with a probability per class; or beside it such a list as `soft_label`. "
    f"Written: `{FILE}` with `sentence`, `labels` (class numbers) and, for soft labels, `soft_label`",
    recognises=recognises,
    read=read,
    write=write,
    normalisation="",
    lacks="class names, recipe, provenance, the vocabulary; the label temperature (probabilities are written)",
    rounding="texts exact; probabilities to 8 digits, and to 1e-7 on import. A set without source texts gives the "
    "words of its tokens, in lower case; a synthetic one the words nearest to its vectors",
    source="arumaekawa/DiLM, `DiLM-synthetic-data` and `src/coreset/coreset_base.py`",
)
