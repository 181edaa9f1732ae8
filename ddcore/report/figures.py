"""The table of figures, and how they are drawn: as SVG files that are identical for identical records."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from ddcore.report.figure_style import FONTS, STYLE
from ddcore.report.tables import Table
from ddcore.runtime import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Each name is that of a module ``figure_NAME`` with its ``FIGURE``; a page shows its figures in this order.
REPORT = (
    "accuracy",
    "training",
    "stages",
    "curves",
    "prefixes",
    "windows",
    "confusion",
)
COMPARISON = ("minutes",)
SCALE = ("scale",)
PUBLISHED = ("published",)

Data = TypeVar("Data")


@dataclass(frozen=True)
class FigureSpec(Generic[Data]):
    """A figure and its section of the page.

    Attributes:
        anchor: address of the section within the page, and the name of the figure's file.
        title: of the section.
        note: the caption.
        draw: returns the figure and its description for readers who cannot see it, or None if there is nothing to
            draw.
        optional: whether a page without the figure leaves the section out.
        table: returns a table to show below the figure, or None.
        file: relative to the page's folder; empty for ``figures/ANCHOR.svg``.
    """

    anchor: str
    title: str
    note: str
    draw: Callable[[Data], "tuple[Figure, str] | None"]
    optional: bool = False
    table: Callable[[Data], Table | None] | None = None
    file: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure or a grid of images.

    Attributes:
        file: relative to the page's folder.
        alt: its description for readers who cannot see it.
        caption: of the picture.
        pixels: whether it is a grid of images.
    """

    file: str
    alt: str
    caption: str
    pixels: bool = False


Pictures = dict[str, Picture]


def figures_of(page: Sequence[str]) -> list[FigureSpec[Data]]:
    """Return the figures of a page: of `REPORT` or `COMPARISON`."""
    return [import_module(f"ddcore.report.figure_{name}").FIGURE for name in page]


def draw_figures(page: Sequence[str], data: Data, folder: Path | None) -> Pictures:
    """Draw every figure that has something to show, and return them by anchor.

    Args:
        page: names of figures: `REPORT`, `COMPARISON`, `PUBLISHED` or `SCALE`.
        data: the records of a report, the content of ``comparison.json``, or what else these figures draw.
        folder: to draw into; None writes nothing.

    Raises:
        DDCoreError: the folder cannot be written.
    """
    import matplotlib

    drawn: Pictures = {}
    with matplotlib.rc_context(STYLE):
        figures: list[FigureSpec[Data]] = figures_of(page)
        for each in figures:
            if (result := each.draw(data)) is None:
                continue
            figure, alt = result
            drawn[each.anchor] = Picture(each.file or f"figures/{each.anchor}.svg", alt, each.note)
            if folder is not None:
                buffer = io.BytesIO()
                figure.savefig(buffer, format="svg", bbox_inches="tight", pad_inches=0.08, metadata={"Date": None})
                content = buffer.getvalue().replace(b"'DejaVu Sans'", FONTS.encode())
                write_atomic(folder / drawn[each.anchor].file, content)
    return drawn
