"""Ways to make a set as a user names them: methods and selectors with their options, in one line of text."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ddcore.errors import UsageError, known
from ddcore.methods import METHODS
from ddcore.options import parse_options
from ddcore.selection import SELECTORS
from ddcore.synthesis import GradientMethod, StagedMethod

LABELS = ("hard", "soft")


@dataclass(frozen=True)
class Way:
    """A method or a selector, with its options.

    Attributes:
        title: as it was asked for, the options in the order of their names: ``dm:moments=2``.
        name: in `METHODS` or `SELECTORS`.
        maker: the dataclass of its options.
        labels: those of a selector's set, ``hard`` or ``soft``; empty for a method, which has them among its options.
    """

    title: str
    name: str
    maker: Any
    labels: str = ""

    @property
    def selects(self) -> bool:
        """Whether it chooses real members."""
        return self.name in SELECTORS

    @property
    def timed(self) -> bool:
        """Whether its steps are counted from a time."""
        return not self.selects and isinstance(self.maker, GradientMethod | StagedMethod)


def ways(text: str, folders: Mapping[str, str]) -> list[Way]:
    """Return what a text such as ``k-means,dm:moments=2:augment=flip,scale,frepo`` asks for, each once.

    A comma ends a way where the name of a way follows; else it belongs to the value of an option.

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
    found = [one_way(part, folders) for part in parts]
    return list({way.title: way for way in found}.values())


def one_way(text: str, folders: Mapping[str, str]) -> Way:
    """Return the way that ``NAME`` or ``NAME:option=value:option=value`` asks for.

    Raises:
        UsageError: as `ways`.
    """
    name, *words = text.split(":")
    table = METHODS if name in METHODS else SELECTORS
    if name not in table:
        known("method or selector", name, [*METHODS, *SELECTORS])
    given = dict(sorted(_pair(name, word) for word in words))
    title = ":".join([name, *(f"{option.replace('_', '-')}={value}" for option, value in given.items())])
    cls = table[name]
    labels = ""
    if table is SELECTORS:
        labels = known("kind of labels", given.pop("labels", "hard"), list(LABELS))
    elif "steps" in given:
        raise UsageError(f"{title}: leave steps out, they are counted from --minutes")
    options = {field.name for field in fields(cls)}
    filled = {option: value for option, value in folders.items() if option in options}
    try:
        maker: Any = parse_options(cls, filled | given)
    except UsageError as error:
        raise UsageError(f"{title}: {error}") from error
    return Way(title, name, maker, labels)


def _pair(name: str, word: str) -> tuple[str, str]:
    option, equals, value = word.partition("=")
    if not equals or not option or not value:
        raise UsageError(f"'{word}' is no option of {name}: write {name}:option=value:option=value")
    return option.replace("-", "_"), value
