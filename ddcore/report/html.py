"""The report as one self-contained HTML page with its pictures embedded."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ddcore.errors import DDCoreError
from ddcore.report.document import Block, Section
from ddcore.runtime import inside

PAGE = Path(__file__).parent / "page"
SCRIPTS = ("sort.js", "lens.js")
FIRST_WORDS = 60
TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


def render(title: str, parts: Sequence[Section], folder: Path) -> str:
    """Return the whole page. It loads nothing, and a browser runs no other script in it than ddcore's own.

    Args:
        title: of the page.
        parts: its sections.
        folder: of the pictures' files.

    Raises:
        DDCoreError: the file of a picture is missing.
    """
    script = "".join((PAGE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    pages = Environment(
        loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    pages.filters.update(data=lambda file: _address(inside(folder, file)), kind=_kind, mark=_mark)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = (PAGE / "style.css").read_text(encoding="utf-8")
    return pages.get_template("report.html").render(
        title=title, parts=parts, first=FIRST_WORDS, style=style, script=script, digest=digest
    )


def _kind(block: Block) -> str:
    return type(block).__name__


def _mark(cell: str) -> str:
    """Return the CSS class of a cell: whether a goal was met, or a stage did not run."""
    if cell in ("yes", "no"):
        return cell
    return "fault" if cell.startswith(("failed", "not run")) else ""


def _address(path: Path) -> str:
    """Return a picture's file as an address that holds it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DDCoreError(f"{path} is missing: write the report again from its runs") from error
    return f"data:{TYPES[path.suffix]};base64,{base64.b64encode(content).decode()}"
