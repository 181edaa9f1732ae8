"""The controls of an entry: what chance gives in its place, and what it begins with."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from ddcore.comparison.entries import Entry, one_entry
from ddcore.options import changed, flat
from ddcore.problem import Problem
from ddcore.runtime import Session
from ddcore.synthesis import Finished, Method, begun
from ddcore.training import CONTROLS

CORESET = "k-means"
"""The coreset beside methods. Test accuracies on record chose it, as the strongest rival: see coresets.md."""
BEGIN = "start of "
"""What the title of an entry's start begins with."""


@dataclass(frozen=True)
class Start(Method):
    """What another method begins with, as a set of its own.

    Attributes:
        inner: the other method.
    """

    name: ClassVar[str] = "start"

    inner: Method = field(default=Method())

    def needs_teacher(self, kind: str) -> bool:
        """Return whether the other method cannot do without a teacher on this kind of task."""
        return self.inner.needs_teacher(kind)

    def start(self, problem: Problem, session: Session) -> Finished:
        """Return the finished set.

        Raises:
            UsageError: as the other method's start.
        """
        small = begun(self.inner, problem, session).decode()
        return Finished(replace(small, origin=replace(small.origin, method=f"{BEGIN}{self.inner.name}")))


def controls_of(entry: Entry, problem: Problem) -> list[Entry]:
    """Return what a comparison puts beside an entry without being asked.

    A method or selector in `CONTROLS` stands beside itself with the options that let chance decide. A method stands
    beside what it begins with, unless that is noise, or the random members of the first row; and beside random crops
    in the same grid if it begins with crops. Images that are synthesised or cropped stand beside a coreset.

    Args:
        entry: that was asked for.
        problem: what every entry is asked for.
    """
    chance, _ = CONTROLS.get(entry.maker.name, ({}, ""))
    controls = [] if chance.items() <= flat(entry.maker).items() else [_with(entry, chance)]
    method = entry.method
    if method is not None and entry.timed and len(method.stages(problem)) == 1:
        controls += _starts(entry, method)
    if (method is not None or controls) and problem.task.kind == "images":
        controls.append(one_entry(CORESET, {}))
    return controls


def _starts(entry: Entry, method: Method) -> list[Entry]:
    """Return what a method's entry begins with, and random crops in its grid; nothing for noise and random members."""
    options = flat(method)
    began = options.get("init", "its own")
    if began == "noise" or (began == "random" and options["factor"] == 1):
        return []
    by_chance = began == "rded" and options["keep"] != "random"
    return [_start(entry), *([_start(_with(entry, {"keep": "random"}, method))] if by_chance else [])]


def _with(entry: Entry, options: dict[str, str], method: Method | None = None) -> Entry:
    """Return an entry with some options changed, and its title."""
    typed = dict(word.split("=", 1) for word in entry.title.split(":")[1:])
    words = sorted({**typed, **{name.replace("_", "-"): value for name, value in options.items()}}.items())
    title = ":".join([entry.maker.name, *(f"{name}={value}" for name, value in words)])
    if method is None:
        return one_entry(title, {})
    return Entry(title, changed(method, options), None)


def _start(entry: Entry) -> Entry:
    """Return the start of a method's entry."""
    assert entry.method is not None
    return Entry(f"{BEGIN}{entry.title}", Start(proportions=entry.method.proportions, inner=entry.method), None)
