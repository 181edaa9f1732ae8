"""Options written once: the fields of a dataclass, from which a script builds its command line.

A field made with `option` carries its help text and its limits; `add_options` turns the fields into argparse
arguments (``max_steps`` becomes ``--max-steps``) and `read_options` turns the parsed values back into the dataclass.
"""

import argparse
import dataclasses
import types
import typing
from typing import Any, TypeVar

from ddcore.errors import UsageError, known

T = TypeVar("T")


def option(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """Return a dataclass field with a help text and, for numbers, inclusive limits."""
    metadata = {"help": help, "low": low, "high": high, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


def _plain_type(annotation: Any) -> type:
    """Return the type behind ``X`` or ``X | None``."""
    if isinstance(annotation, types.UnionType):
        annotation = next(a for a in typing.get_args(annotation) if a is not type(None))
    return typing.cast(type, annotation)


def add_options(parser: argparse.ArgumentParser, cls: type) -> None:
    """Add an argument for every field of `cls` that was made with `option`."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if "help" not in field.metadata:
            continue
        flag = "--" + field.name.replace("_", "-")
        shown = "" if field.default is None else f" (default {field.default})"
        text = field.metadata["help"].replace("%", "%%") + shown
        kind = _plain_type(hints[field.name])
        if kind is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=field.default, help=text)
        else:
            parser.add_argument(flag, type=kind, default=field.default, choices=field.metadata["choices"], help=text)


def read_options(values: argparse.Namespace, cls: type[T]) -> T:
    """Return `cls` filled from parsed arguments.

    Raises:
        UsageError: a number lies outside its limits.
    """
    names = [f.name for f in dataclasses.fields(cls) if "help" in f.metadata]  # type: ignore[arg-type]
    return checked(cls(**{name: getattr(values, name) for name in names}))


def parse_options(cls: type[T], given: dict[str, str]) -> T:
    """Return `cls` filled from texts by field name, read and checked as on a command line.

    Raises:
        UsageError: there is no such option, or its value is of the wrong kind or outside its limits.
    """
    known_names = [f.name for f in dataclasses.fields(cls) if "help" in f.metadata]  # type: ignore[arg-type]
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser, cls)
    words = []
    for name, text in given.items():
        flag = "--" + known("option", name, known_names).replace("_", "-")
        if isinstance(parser.get_default(name), bool):
            flag = flag if known("choice", text, ["yes", "no"]) == "yes" else f"--no-{flag[2:]}"
            words.append(flag)
        else:
            words.append(f"{flag}={text}")
    try:
        return read_options(parser.parse_args(words), cls)
    except argparse.ArgumentError as error:
        raise UsageError(str(error)) from error


def checked(options: T) -> T:
    """Return `options` unchanged if every number lies within its limits.

    Raises:
        UsageError: one does not; the line names the option and the limits.
    """
    for field in dataclasses.fields(options):  # type: ignore[arg-type]
        value = getattr(options, field.name)
        low, high = field.metadata.get("low"), field.metadata.get("high")
        if value is None or (low is None and high is None):
            continue
        flag = "--" + field.name.replace("_", "-")
        if low is not None and not value >= low:
            raise UsageError(f"{flag} {value} is too small: it must be at least {low}")
        if high is not None and not value <= high:
            raise UsageError(f"{flag} {value} is too large: it must be at most {high}")
    return options
