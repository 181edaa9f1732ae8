"""The columns of a Hugging Face data set: which holds the members and which their classes, and what is in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ddcore.data.custom import CustomData
from ddcore.data.table import label_name
from ddcore.errors import DDCoreError, UsageError, require

if TYPE_CHECKING:
    import pyarrow
    from datasets import Dataset
    from datasets.features.features import FeatureType

# The columns that are meant where several are of the right type.
USUAL = {"image": ("image", "img"), "text": ("text",), "label": ("label",)}
SHOWN = 12


@dataclass(frozen=True)
class Split:
    """One split of a data set: its name and its rows."""

    name: str
    data: Dataset


@dataclass(frozen=True)
class Columns:
    """The two columns that are used.

    Attributes:
        kind: ``image`` or ``text``.
        member: the column of images or texts.
        label: the column of classes.
    """

    kind: str
    member: str
    label: str


def columns_of(custom: CustomData, split: Dataset) -> Columns:
    """Return the columns that were named, otherwise those that are clear.

    The column of members is the only one of images, or the one named ``image`` or ``img``; without any images the only
    one of strings, or the one named ``text``. The label is the only column with class names, or the one named
    ``label``.

    Raises:
        UsageError: a column is missing or of another type, or it is not clear which one is meant.
    """
    options, where, features = custom.options, custom.place, split.features
    require(
        "image" not in options or "text" not in options,
        f"--dataset {custom.address}: give image= or text=, not both, because members are images or texts",
    )
    for option in ("image", "text", "label"):
        name = options.get(option)
        if name is not None and name not in features:
            raise UsageError(f"{where} has no column '{name}' (it has: {_listed(features)})")
    images, texts = ([name for name in features if is_one(features[name])] for is_one in (_is_image, _is_text))
    kind = "image" if "image" in options or (images and "text" not in options) else "text"
    label = options.get("label") or _label(custom, split, options.get(kind))
    candidates = [name for name in (images if kind == "image" else texts) if name != label]
    member = options.get(kind) or _clear(kind, candidates, custom, features)
    require(
        member in (images if kind == "image" else texts),
        f"the column '{member}' of {where} holds no {kind}s ({_shown(features[member])})",
    )
    require(member != label, f"the column '{label}' of {where} cannot be both the {kind} and the label")
    return Columns(kind, member, label)


def class_names(custom: CustomData, split: Split, column: str) -> list[str]:
    """Return the class name of every member of a split; `column` holds the labels.

    Raises:
        UsageError: a member has no label, or its label is none of the column's classes.
        DDCoreError: the column is damaged.
    """
    where, feature = where_of(custom, split), split.data.features[column]
    _check_label(where, column, feature)
    names = _names(feature)
    values = checked(where, split.data, column).to_pylist()
    shown: dict[object, str] = {}
    for number, value in enumerate(values, 1):
        if value in shown:
            continue
        require(
            names is None or value != -1,
            f"{where} has no labels: row {number} has the class -1, the Hub's sign of a member without a label; "
            "remove such rows, give another split, or write ,test= to split a test set off the training set",
        )
        known = names is None or (type(value) is int and 0 <= value < len(names))
        label = label_name(value if names is None else names[value]) if known else None
        require(
            label is not None,
            f"row {number} of {where} has no label in the column '{column}' that is a class ({str(value)[:40]}): "
            "fill it in or remove the row",
        )
        shown[value] = str(label)
    return [shown[value] for value in values]


def ordered(split: Dataset, column: str) -> list[str] | None:
    """Return the class names in their published order; None if the column has none."""
    names = _names(split.features[column])
    return None if names is None else [str(label_name(name)) for name in names]


def where_of(custom: CustomData, split: Split) -> str:
    """Return where a split lies, for a reader."""
    return f"the split '{split.name}' of {custom.place}"


def checked(where: str, split: Dataset, column: str) -> pyarrow.ChunkedArray:
    """Return a column after its buffers have been checked, because reading a damaged one can end the process.

    Raises:
        DDCoreError: the column is damaged.
    """
    import pyarrow

    try:
        split.data.column(column).validate(full=True)
        return split.select_columns([column]).with_format("arrow")[:].column(0)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DDCoreError(f"{where} is damaged in the column '{column}': bring it again") from error


def texts_of(custom: CustomData, split: Split, column: str) -> list[str]:
    """Return the texts of a column.

    Raises:
        UsageError: a row has no text.
        DDCoreError: the column is damaged.
    """
    where = where_of(custom, split)
    texts = checked(where, split.data, column).to_pylist()
    for number, text in enumerate(texts, 1):
        if not isinstance(text, str) or not text.strip():
            raise UsageError(
                f"row {number} of {where} has no text in the column '{column}': fill it in or remove the row"
            )
    return texts


def _label(custom: CustomData, split: Dataset, member: str | None) -> str:
    features = split.features
    classes = [name for name in features if _names(features[name]) is not None]
    if not classes and "label" not in features:
        others = [name for name in features if name not in (member, *USUAL["text"]) and _is_label(features[name])]
        raise _unclear("label", others, custom, features)
    return _clear("label", classes or ["label"], custom, features)


def _clear(option: str, candidates: list[str], custom: CustomData, features: Iterable[str]) -> str:
    """Return the only candidate, otherwise the one with a usual name."""
    usual = candidates if len(candidates) == 1 else [name for name in candidates if name in USUAL[option]]
    if len(usual) != 1:
        raise _unclear(option, candidates, custom, features)
    return usual[0]


def _unclear(option: str, candidates: Sequence[str], custom: CustomData, features: Iterable[str]) -> UsageError:
    """Return the question for a column, with the candidates."""
    where = custom.place
    if not candidates:
        what = "labels" if option == "label" else "images or texts"
        return UsageError(f"{where} has no column of {what} (it has: {_listed(features)})")
    return UsageError(
        f"it is not clear which column of {where} holds the {option}s: add ,{option}=COLUMN to --dataset "
        f"{custom.address}, one of: {_listed(candidates)}"
    )


def _check_label(where: str, column: str, feature: FeatureType) -> None:
    kind = _shown(feature)
    several = "several labels per member" if kind.startswith(("List", "Large", "Sequence", "[")) else kind
    require(
        _is_label(feature),
        f"the column '{column}' of {where} holds no classes ({several}): one word or whole number per member is needed",
    )


def _is_image(feature: FeatureType) -> bool:
    """Return whether a column holds encoded images: the type, or a file's bytes as other writers leave them."""
    import datasets

    content = feature.get("bytes") if isinstance(feature, dict) else feature
    return isinstance(feature, datasets.Image) or getattr(content, "dtype", "") in ("binary", "large_binary")


def _is_text(feature: FeatureType) -> bool:
    return _type(feature) in ("string", "large_string", "string_view")


def _is_label(feature: FeatureType) -> bool:
    return (
        _names(feature) is not None or _is_text(feature) or _type(feature).startswith(("int", "uint", "bool", "float"))
    )


def _names(feature: FeatureType) -> list[str] | None:
    """Return the class names of a column; None if it has none."""
    import datasets

    return list(feature.names) if isinstance(feature, datasets.ClassLabel) else None


def _type(feature: FeatureType) -> str:
    """Return the type of a plain value; empty for any other feature."""
    import datasets

    return str(feature.dtype) if isinstance(feature, datasets.Value) else ""


def _shown(feature: FeatureType) -> str:
    return _type(feature) or type(feature).__name__


def _listed(names: Iterable[str]) -> str:
    each = [name[:30] for name in names]
    return ", ".join([*each[:SHOWN], "…"] if len(each) > SHOWN else each)
