"""The contract of a format: what a file of another tool holds, and what ddcore can do with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from ddcore.data import Inputs, Task
from ddcore.runtime import JSONObject

if TYPE_CHECKING:
    from ddcore.sets.distilled_set import DistilledSet


@dataclass(frozen=True)
class Members:
    """The members in a file of another tool, in the order of the file.

    Attributes:
        x: images ``(N, C, H, W)``, uint8 pixels or floats in the tool's own normalisation; or `ddcore.data.Tokens`.
        y: ``(N,)`` int64 class numbers of the file.
        soft: ``(N, K)`` float logits of soft labels, or regression targets less 1 / K at temperature 0; or None.
        classes: names of the class numbers in the file's order; empty if the file does not hold them.
        method: what produced the set; empty if the file does not say it.
        options: other values of the file, such as a learning rate, by name.
        notes: lines for the user.
        texts: source text of each member; empty for images.
        temperature: of the soft labels.
    """

    x: Inputs
    y: Tensor
    soft: Tensor | None = None
    classes: tuple[str, ...] = ()
    method: str = ""
    options: JSONObject = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    temperature: float = 1.0


Read = Callable[[Path, Task], Members]
"""Reads a file or folder for a data set.

Raises `ddcore.errors.DDCoreError` or `UsageError`, in one line, for all that it cannot use. It executes and unpickles
nothing, allocates no more than `ddcore.sets.formats.limits.MOST_BYTES`, and opens no path that the file names.
"""
Write = Callable[["DistilledSet", Path], None]
"""Writes a set, whose members stand class by class, into an empty folder; a set of texts has a text for each member.

Raises `ddcore.errors.DDCoreError` if the set holds what the format cannot express at all, or the folder cannot be
written. What is merely left out is said in `Format.lacks`.
"""


@dataclass(frozen=True)
class Notes:
    """What a page about an exported set says that the set does not hold.

    Attributes:
        licence: of the real data; empty for the one that its publisher states.
        scores: network and protocol, and accuracy, of each score, as texts.
    """

    licence: str = ""
    scores: tuple[tuple[str, str], ...] = ()


Describe = Callable[["DistilledSet", Path, Notes], None]
"""Writes a page about a set into the folder that its `Write` fills afterwards; raises as that one does."""


@dataclass(frozen=True)
class Format:
    """One row of the table of formats.

    Attributes:
        name: after ``--format``.
        title: of the tools that write it.
        kinds: of sets that it holds: ``images``, ``tokens``, ``embeddings``.
        layout: the files and what is in them, in one sentence.
        recognises: whether a path has the names of this format; the files are not opened.
        read: imports; None if ddcore only exports it.
        write: exports; None if ddcore only imports it.
        normalisation: of float images, a name in `ddcore.sets.formats.normalisation.NORMALISATIONS`, ``data`` or
            ``none``; empty where the format holds pixels or texts.
        lacks: what of a set it does not hold.
        rounding: how exact a round trip is.
        source: where the layout was read.
        describe: writes a page about the set beside the files; None for formats without one.
    """

    name: str
    title: str
    kinds: tuple[str, ...]
    layout: str
    recognises: Callable[[Path], bool]
    read: Read | None
    write: Write | None
    normalisation: str
    lacks: str
    rounding: str
    source: str
    describe: Describe | None = None
