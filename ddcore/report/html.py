"""The report as one self-contained HTML page with its pictures embedded."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from ddcore.errors import DDCoreError
from ddcore.report.document import Block, Facts, Lines, Picture, Section
from ddcore.report.html_css import CSS
from ddcore.report.records import Member, Sample
from ddcore.report.tables import Table
from ddcore.runtime import inside

FIRST_WORDS = 60
TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


def render(title: str, parts: Sequence[Section], folder: Path) -> str:
    """Return the whole page.

    Args:
        title: of the page.
        parts: its sections.
        folder: of the pictures' files.
    """
    contents = "".join(f'<li><a href="#{part.anchor}">{escape(part.title)}</a></li>' for part in parts)
    body = "\n".join(_section(part, folder) for part in parts)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{CSS}</style>
</head>
<body>
<nav aria-label="Contents"><p>{escape(title)}</p><ol>{contents}</ol></nav>
<main>
<h1>{escape(title)}</h1>
{body}
</main>
</body>
</html>
"""


def _section(part: Section, folder: Path) -> str:
    blocks = "\n".join(_block(block, folder) for block in part.blocks)
    return f'<section id="{part.anchor}">\n<h2>{escape(part.title)}</h2>\n{blocks}\n</section>'


def _block(block: Block, folder: Path) -> str:
    match block:
        case str():
            return f"<p>{escape(block)}</p>"
        case Table():
            return _table(block)
        case Picture():
            return _picture(block, folder)
        case Facts(facts):
            return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(text)}</dd>' for name, text in facts)}</dl>"
        case Lines(lines):
            return "".join(f"<h3>{escape(name)}</h3><pre>{escape(chr(10).join(each))}</pre>" for name, each in lines)
        case sample:
            return _sample(sample)


def _table(table: Table) -> str:
    numbers = [' class="number"' if column in table.numbers else "" for column in range(len(table.headers))]
    heads = zip(table.headers, numbers, strict=True)
    head = "".join(f'<th scope="col"{kind}>{escape(name)}</th>' for name, kind in heads)
    rows = []
    for number, row in enumerate(table.rows):
        cells = "".join(
            f"<td{_mark(cell) or kind}>{escape(cell)}</td>" for cell, kind in zip(row[1:], numbers[1:], strict=True)
        )
        kind = ' class="strong"' if number in table.strong else ""
        rows.append(f'<tr{kind}><th scope="row">{escape(row[0])}</th>{cells}</tr>')
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _mark(cell: str) -> str:
    """Return the CSS class of a cell: whether a goal was met, or a stage did not run."""
    if cell in ("yes", "no"):
        return f' class="{cell}"'
    return ' class="fault"' if cell.startswith(("failed", "not run")) else ""


def _picture(block: Picture, folder: Path) -> str:
    path = inside(folder, block.file)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DDCoreError(f"{path} is missing: write the report again from its runs") from error
    source = f"data:{TYPES[path.suffix]};base64,{base64.b64encode(content).decode()}"
    kind = ' class="pixels"' * block.pixels
    image = f'<img{kind} src="{source}" alt="{escape(block.alt, quote=True)}">'
    return f"<figure>{image}<figcaption>{escape(block.caption)}</figcaption></figure>"


def _sample(sample: Sample) -> str:
    head = f"<p>{escape(sample['title'])}; {len(sample['members'])} members, spread over the set.</p>"
    return f"{head}<ol class='members'>{''.join(map(_member, sample['members']))}</ol>"


def _member(member: Member) -> str:
    words = member["text"].split()
    first, rest = " ".join(words[:FIRST_WORDS]), " ".join(words[FIRST_WORDS:])
    more = f"<details><summary>the rest</summary>{escape(rest)}</details>" if rest else ""
    soft = "" if member["probability"] is None else f' <span class="soft">soft label {member["probability"]:.2f}</span>'
    head = f'<b class="label">{escape(member["label"])}</b>{soft} <span class="soft">{member["words"]} tokens</span>'
    return f"<li>{head}<p>{escape(first)}{' …' if rest else ''}</p>{more}</li>"
