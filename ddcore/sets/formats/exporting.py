"""From a distilled set to the files of another tool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ddcore.errors import DDCoreError, require
from ddcore.runtime import check_empty
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.formats.contract import Notes
from ddcore.sets.formats.registry import EXPORTED, FORMATS
from ddcore.sets.formats.wording import with_words

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NOTHING = Notes()


def export_set(
    small: DistilledSet, folder: Path, name: str, notes: Notes = NOTHING, tokeniser: Tokenizer | None = None
) -> tuple[str, ...]:
    """Write a set as another tool reads it, its members class by class.

    Args:
        small: the set.
        folder: to write to; empty, or not there.
        name: of the format, one of `EXPORTED`.
        notes: for the page that some formats write about the set.
        tokeniser: of a set of texts, for those without source texts; None if it is not known.

    Returns:
        Lines for the user: what the format leaves out, and how exact it is.

    Raises:
        UsageError: the folder holds something, or the format is only imported.
        DDCoreError: the format does not hold such a set, or the folder cannot be written.
    """
    row = FORMATS[name]
    require(row.write is not None, f"{name} is not exported; these are: {', '.join(EXPORTED)}")
    assert row.write is not None
    others = [other for other in EXPORTED if small.kind in FORMATS[other].kinds]
    remedy = f"these hold them: {', '.join(others)}" if others else "its members are readable in members.txt"
    require(small.kind in row.kinds, f"the set holds {small.kind}, which {name} does not: {remedy}", DDCoreError)
    require(
        row.describe is not None or notes == NOTHING, f"{name} has no page for a licence and scores: leave them out"
    )
    check_empty(folder, "choose another --out, or --fresh to put it aside")
    lines: tuple[str, ...] = ()
    if small.kind != "images":
        small, lines = with_words(small, tokeniser)
    ordered = small.class_by_class()
    if row.describe is not None:  # first, because it refuses data without a licence
        row.describe(ordered, folder, notes)
    row.write(ordered, folder)
    return (*lines, f"left out: {row.lacks}", f"round trip: {row.rounding}")
