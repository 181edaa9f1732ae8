"""Options written once: the fields of a dataclass, from which a script builds its command line.

A field made with `option` carries its help text and its limits; one made with `group` holds another dataclass of
options. `add_options` turns them into argparse arguments (``max_steps`` becomes ``--max-steps``) and `read_options`
turns the parsed values back into the dataclass.
"""

import argparse
import dataclasses
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import partial
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
    flags: str = "",
) -> Any:
    """Return a dataclass field that is an option.

    Args:
        default: its value.
        help: for the command line and the pages.
        low, high: inclusive limits of a number.
        choices: the possible values of a text. ``default=ddcore`` is a value of an earlier version that stands for
            ``ddcore``.
        flags: names on the command line, with blanks between, if they differ from the field's: ``validation-steps
            check-steps``. The first is shown; the others are names of earlier versions. ``no-balanced=data`` is a
            switch of an earlier version that stands for the value ``data``.
    """
    former = dict(choice.split("=") for choice in choices or () if "=" in choice)
    today = choices and tuple(choice for choice in choices if "=" not in choice)
    metadata = {"help": help, "low": low, "high": high, "choices": today, "flags": flags, "former": former}
    return dataclasses.field(default=default, metadata=metadata)


def later(option: Any) -> Any:
    """Return an option whose default is what earlier versions did, so that their checkpoints can be resumed.

    It is left out of the text that stands for the options, by which a run knows its checkpoint.
    """
    option.repr = False
    return option


def group(default: Any, *, hide: tuple[str, ...] = (), choices: Mapping[str, tuple[str, ...]] | None = None) -> Any:
    """Return a dataclass field that holds options of its own.

    Args:
        default: an instance, whose values are the defaults.
        hide: fields that are no options here.
        choices: possible values of fields, where only some make sense here.
    """
    return dataclasses.field(default=default, metadata={"group": True, "hide": hide, "choices": choices or {}})


@dataclasses.dataclass(frozen=True)
class Option:
    """One option of a dataclass, wherever in its groups it stands.

    Attributes:
        path: names of the fields that lead to it.
        flags: its names on the command line without the dashes, those of earlier versions last.
        kind: type of its value.
        default: its value if nothing is said.
        help: its meaning.
        choices: the possible values of a text; None for any.
        low, high: inclusive limits of a number; None without.
        aliases: switches of earlier versions, each with the value that it stands for.
        former: texts of earlier versions, each with the value that it stands for.
    """

    path: tuple[str, ...]
    flags: tuple[str, ...]
    kind: type
    default: Any
    help: str
    choices: tuple[str, ...] | None
    low: float | None
    high: float | None
    aliases: Mapping[str, str]
    former: Mapping[str, str]

    @property
    def name(self) -> str:
        """Its name in records and parsed arguments."""
        return self.flags[0].replace("-", "_")

    def value(self, options: Any) -> Any:
        """Return its value in a dataclass of options."""
        for name in self.path:
            options = getattr(options, name)
        return options

    def check(self, value: Any) -> None:
        """Refuse a number outside the limits, and one that is not finite.

        Raises:
            UsageError: the line names the option and the limit.
        """
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"--{self.flags[0]} {value} is not a finite number")
        if value is not None and self.low is not None and not value >= self.low:
            raise UsageError(f"--{self.flags[0]} {value} is too small: it must be at least {self.low}")
        if value is not None and self.high is not None and not value <= self.high:
            raise UsageError(f"--{self.flags[0]} {value} is too large: it must be at most {self.high}")


def options_of(cls: type) -> list[Option]:
    """Return the options of a dataclass, those of its groups included."""
    return list(_options(cls, None, (), {}))


def _options(cls: type, values: Any, path: tuple[str, ...], choices: Mapping[str, Any]) -> Iterator[Option]:
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        metadata = field.metadata
        default = field.default if values is None else getattr(values, field.name)
        if "group" in metadata:
            inner = _options(type(default), default, (*path, field.name), metadata["choices"])
            yield from (each for each in inner if each.path[-1] not in metadata["hide"])
        elif "help" in metadata:
            flags = (metadata["flags"] or field.name.replace("_", "-")).split()
            yield Option(
                path=(*path, field.name),
                flags=tuple(flag for flag in flags if "=" not in flag),
                kind=_plain_type(hints[field.name]),
                default=default,
                help=metadata["help"],
                choices=choices.get(field.name, metadata["choices"]),
                low=metadata["low"],
                high=metadata["high"],
                aliases=dict(flag.split("=") for flag in flags if "=" in flag),
                former=metadata["former"],
            )


def _plain_type(annotation: Any) -> type:
    """Return the type behind ``X`` or ``X | None``."""
    if isinstance(annotation, types.UnionType):
        annotation = next(a for a in typing.get_args(annotation) if a is not type(None))
    return typing.cast(type, annotation)


def add_options(parser: argparse.ArgumentParser, cls: type, *, filled: bool = True) -> None:
    """Add an argument for every option of `cls`; names of earlier versions work but are not shown.

    Args:
        parser: to add to.
        cls: a dataclass of options.
        filled: options that are not typed get their defaults; otherwise they are not among the parsed arguments.
    """
    for each in options_of(cls):
        shown = "" if each.default is None else f" (default {each.default})"
        text = each.help.replace("%", "%%") + shown
        for place, flag in enumerate(each.flags):
            _add(parser, f"--{flag}", each, argparse.SUPPRESS if place else text, filled and not place)
        hidden = argparse.SUPPRESS
        for alias, value in each.aliases.items():
            parser.add_argument(
                f"--{alias}", action="store_const", const=value, dest=each.name, default=hidden, help=hidden
            )


def _add(parser: argparse.ArgumentParser, flag: str, each: Option, text: str, filled: bool) -> None:
    default = each.default if filled else argparse.SUPPRESS
    if each.kind is bool:
        parser.add_argument(flag, dest=each.name, action=argparse.BooleanOptionalAction, default=default, help=text)
    else:
        kind: Callable[[str], Any] = number if each.kind is float else each.kind
        kind = partial(_today, each.former) if each.former else kind
        parser.add_argument(flag, dest=each.name, type=kind, default=default, choices=each.choices, help=text)


def _today(former: Mapping[str, str], text: str) -> str:
    return former.get(text, text)


def number(text: str) -> float:
    """Read an option that is a finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"'{text}' is not a finite number")
    return value


def whole_number(text: str) -> int:
    """Read an option that counts something: 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of 0 or more")
    return int(text)


def positive(text: str) -> int:
    """Read an option that counts something: 1 or more, and at most a billion."""
    if not text.isdecimal() or not 1 <= int(text) <= 10**9:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number between 1 and 1,000,000,000")
    return int(text)


def read_options(values: argparse.Namespace, cls: type[T], preset: Mapping[str, Any] | None = None) -> T:
    """Return `cls` filled from parsed arguments.

    Args:
        values: parsed.
        cls: a dataclass of options.
        preset: values, by option name, of options that were not typed.

    Raises:
        UsageError: a number lies outside its limits.
    """
    typed = {each.name: getattr(values, each.name) for each in options_of(cls) if hasattr(values, each.name)}
    return changed(cls(), {**(preset or {}), **typed})


def parse_options(cls: type[T], texts: Mapping[str, str]) -> T:
    """Return `cls` filled from texts by option name, read and checked as on a command line.

    Raises:
        UsageError: there is no such option, or its value is of the wrong kind or outside its limits.
    """
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser, cls)
    options = options_of(cls)
    names = {flag.replace("-", "_"): each for each in options for flag in (*each.flags, *each.aliases)}
    words = []
    for name, text in texts.items():
        each = names[known("option", name, [option.name for option in options]) if name not in names else name]
        flag = f"--{name.replace('_', '-')}" if name in each.aliases else f"--{each.flags[0]}"
        if each.kind is bool or name in each.aliases:
            words.append(flag if known("choice", text, ["yes", "no"]) == "yes" else f"--no-{flag.removeprefix('--')}")
        else:
            words.append(f"{flag}={text}")
    try:
        return read_options(parser.parse_args(words), cls)
    except argparse.ArgumentError as error:
        raise UsageError(str(error)) from error


def flat(options: Any) -> dict[str, Any]:
    """Return the values of all options of a dataclass by name, those of its groups included."""
    return {each.name: each.value(options) for each in options_of(type(options))}


def changed(options: T, values: Mapping[str, Any]) -> T:
    """Return a dataclass of options with some values, by option name, wherever in its groups they stand.

    Raises:
        UsageError: a number lies outside its limits.
        TypeError: there is no such option.
    """
    known_options = {each.name: each for each in options_of(type(options))}
    for name, value in values.items():
        if name not in known_options:
            raise TypeError(f"{type(options).__name__} has no option '{name}'")
        known_options[name].check(value)
        options = _replaced(options, known_options[name].path, value)
    return options


def _replaced(options: T, path: tuple[str, ...], value: Any) -> T:
    head, *rest = path
    inner = _replaced(getattr(options, head), tuple(rest), value) if rest else value
    return dataclasses.replace(typing.cast(Any, options), **{head: inner})
