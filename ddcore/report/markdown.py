"""The report as Markdown: the twin of the HTML page, with pictures in files beside it."""

import re
from collections.abc import Sequence

from ddcore.report.document import Block, Facts, Lines, Picture, Section
from ddcore.report.records import Sample
from ddcore.report.tables import Table

FIRST_WORDS = 60


def render(title: str, parts: Sequence[Section]) -> str:
    """Return the whole document."""
    texts = [text for part in parts for text in (f"## {part.title}", *map(_block, part.blocks))]
    return "\n\n".join([f"# {title}", *texts]).rstrip() + "\n"


def table(each: Table) -> str:
    """Return a Markdown table with the strong rows in bold."""
    marks = ["---:" if column in each.numbers else "---" for column in range(len(each.headers))]
    rows = [
        [f"**{_safe(cell)}**" if number in each.strong and cell else _safe(cell) for cell in row]
        for number, row in enumerate(each.rows)
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (each.headers, marks, *rows))


def _safe(text: str) -> str:
    """Return a text on one line with markup escaped."""
    return re.sub(r"[\\|*_<`\[\]]", r"\\\g<0>", " ".join(text.split()))


def _block(block: Block) -> str:
    match block:
        case str():
            return _safe(block)
        case Table():
            return table(block)
        case Picture(file, alt, caption):
            return f"![{_safe(alt)}]({file})\n\n{_safe(caption)}"
        case Facts(facts):
            return "\n".join(f"- **{_safe(name)}**: {_safe(text)}" for name, text in facts)
        case Lines(lines):
            return "\n\n".join("\n".join([f"{_safe(name)}:", "", "```sh", *texts, "```"]) for name, texts in lines)
        case sample:
            return _sample(sample)


def _sample(sample: Sample) -> str:
    lines = [f"{_safe(sample['title'])}; the first {FIRST_WORDS} words of {len(sample['members'])} members.", ""]
    for number, member in enumerate(sample["members"], 1):
        words = member["text"].split()
        text = " ".join(words[:FIRST_WORDS]) + (" …" if len(words) > FIRST_WORDS else "")
        label = "" if member["probability"] is None else f", soft label {member['probability']:.2f}"
        lines.append(f"{number}. **{_safe(member['label'])}**{label}, {member['words']} tokens: {_safe(text)}")
    return "\n".join(lines)


def lines(table: Table) -> list[str]:
    """Return a table for a terminal: header, rule and rows in aligned columns."""
    rows: list[Sequence[str]] = [table.headers, *table.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.headers))]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.rjust(width) if column in table.numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return [line(table.headers), "  ".join("-" * width for width in widths), *map(line, table.rows)]
