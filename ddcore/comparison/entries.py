"""Entries of a comparison as a user names them: methods and selectors with their options, in one line of text."""

from collections.abc import Mapping
from dataclasses import dataclass

from ddcore.errors import UsageError, known, require
from ddcore.methods import METHODS
from ddcore.options import options_of, parse_options
from ddcore.selection import SELECTORS, Selector
from ddcore.synthesis import Method


@dataclass(frozen=True)
class Entry:
    """A method or a selector, with its options.

    Attributes:
        title: as it was asked for, the options in the order of their names: ``dm:moments=2``.
        method, selector: the dataclass of its options; the other one is None.
    """

    title: str
    method: Method | None
    selector: Selector | None

    @property
    def maker(self) -> Method | Selector:
        """The method or the selector."""
        maker = self.method or self.selector
        assert maker is not None
        return maker

    @property
    def timed(self) -> bool:
        """Whether its steps are counted from a time."""
        return self.method is not None and self.method.steps > 0

    @property
    def seeded(self) -> bool:
        """Whether another seed gives another set."""
        return self.selector is None or self.selector.seeded


def entries(text: str, folders: Mapping[str, str]) -> list[Entry]:
    """Return what a text such as ``k-means,dm:moments=2:augment=flip,scale,frepo`` asks for, each once.

    A comma ends an entry where the name of a method or selector follows; otherwise it belongs to an option's value.

    Args:
        text: as typed.
        folders: values of options, such as ``experts``, for all that have one of that name.

    Raises:
        UsageError: a name or an option is unknown, or a value is wrong.
    """
    parts: list[str] = []
    for part in text.split(","):
        begins = part.split(":")[0].strip() in {**METHODS, **SELECTORS}
        if parts and ":" in parts[-1] and not begins:
            parts[-1] += f",{part}"
        else:
            parts.append(part.strip())
    return list({entry.title: entry for entry in (one_entry(part, folders) for part in parts)}.values())


def one_entry(text: str, folders: Mapping[str, str]) -> Entry:
    """Return the entry that ``NAME`` or ``NAME:option=value:option=value`` asks for.

    Raises:
        UsageError: as `entries`.
    """
    name, *words = text.split(":")
    known("method or selector", name, [*METHODS, *SELECTORS])
    table: dict[str, type[Method]] | dict[str, type[Selector]] = METHODS if name in METHODS else SELECTORS
    now = {flag: each.flags[0] for each in options_of(table[name]) for flag in each.flags}
    pairs = (_pair(name, word) for word in words)
    typed = dict(
        sorted((now.get(option.replace("_", "-"), option).replace("-", "_"), value) for option, value in pairs)
    )
    title = ":".join([name, *(f"{option.replace('_', '-')}={value}" for option, value in typed.items())])
    try:
        if name in METHODS:
            require("steps" not in typed, "leave steps out, they are counted from --minutes")
            return Entry(title, parse_options(METHODS[name], _filled(METHODS[name], folders) | typed), None)
        return Entry(title, None, parse_options(SELECTORS[name], _filled(SELECTORS[name], folders) | typed))
    except UsageError as error:
        raise UsageError(f"{title}: {error}") from error


def _filled(cls: type, folders: Mapping[str, str]) -> dict[str, str]:
    """Return the folders that a dataclass has options for."""
    names = {option.name for option in options_of(cls)}
    return {name: value for name, value in folders.items() if name in names}


def _pair(name: str, word: str) -> tuple[str, str]:
    option, equals, value = word.partition("=")
    require(
        bool(equals) and bool(option) and bool(value),
        f"'{word}' is no option of {name}: write {name}:option=value:option=value",
    )
    return option.replace("-", "_"), value
