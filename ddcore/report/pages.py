"""The parts of the README and of the pages in ``docs/`` that are made from code and records, between two markers.

``<!-- options: dm -->`` stands before the options of a method or selector, ``<!-- figures: FILE WAY WAY -->`` before
the rows of these ways in a ``comparison.json`` of `compare.py`, ``<!-- results: FOLDER -->`` before the table of a
report's folder, ``<!-- file: FILE -->`` before the text of a file; ``<!-- end -->`` after them.
"""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ddcore.errors import DDCoreError
from ddcore.report.markdown import table
from ddcore.report.names import percent
from ddcore.report.protocol import device_line, protocol_line
from ddcore.report.records import Records, read_records
from ddcore.report.tables import Table, results_table
from ddcore.runtime import read_json, write_atomic

BEGIN = "<!-- results:begin -->"
END = "<!-- results:end -->"
PART = re.compile(r"(<!-- (options|figures|results|file): ([^>]+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def with_parts(text: str, makers: Mapping[str, type], root: Path) -> str:
    """Return a page's text with every part between markers made anew.

    Args:
        text: of the page.
        makers: methods and selectors by name.
        root: the folder that the names of files begin at.

    Raises:
        DDCoreError: a marker names something that isn't there, or has no end.
    """
    opened = len(re.findall(r"<!-- (?:options|figures|results|file): ", text))
    if opened != len(PART.findall(text)) or opened != text.count("<!-- end -->"):
        raise DDCoreError("every <!-- options: … -->, figures, results or file, needs an <!-- end --> of its own")

    def made(found: re.Match[str]) -> str:
        words = found[3].split()
        if found[2] == "options":
            part = "\n\n".join(options_part(name, makers) for name in words)
        elif found[2] == "results":
            part = results_part(read_records(root / words[0]))
        elif found[2] == "file":
            part = _text(root / words[0])
        else:
            part = figures_part(root / words[0], words[1:])
        return f"{found[1]}{part}\n{found[5]}"

    return PART.sub(made, text)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise DDCoreError(f"{path} cannot be read ({error.strerror})") from error


def options_part(name: str, makers: Mapping[str, type]) -> str:
    """Return a table of the options of a method or selector.

    Raises:
        DDCoreError: there is none of this name.
    """
    if name not in makers:
        raise DDCoreError(f"a page speaks of '{name}', which is neither a method nor a selector")
    rows: list[tuple[str, ...]] = [
        (f"--{field.name.replace('_', '-')}", _shown(field.default), _meaning(field.metadata))
        for field in dataclasses.fields(makers[name])
        if "help" in field.metadata
    ]
    return table(Table((name, "default", ""), rows)) if rows else f"`{name}` has no options of its own."


def figures_part(path: Path, ways: list[str]) -> str:
    """Return the measured accuracy of some ways, random members first, with what they were measured by.

    Raises:
        DDCoreError: the file is missing or damaged, or a way was not measured.
    """
    record = read_json(path)
    try:
        cells = {cell["title"]: cell for cell in record["cells"]}
        protocol = record["protocol"]
        net = protocol["net"]
        missing = [way for way in ways if way not in cells]
        if missing:
            raise DDCoreError(f"{path} has no figures of {', '.join(missing)}")
        rows = [
            (
                way,
                *(_accuracy(cells[way]["scores"].get(kind, {}).get(net)) for kind in ("hard", "soft")),
                f"{cells[way]['seconds'] / 60:.1f}",
            )
            for way in ["random", *ways]
        ]
        said = (
            f"{net}, {protocol['budget']:,} members of {protocol['dataset']}, {len(protocol['seeds'])} fresh networks, "
            f""
            f"test accuracy in percent; {protocol['minutes']:g} minutes for ways that are timed."
        )
    except (KeyError, TypeError) as error:
        raise DDCoreError(f"{path} is not a comparison of compare.py ({error!r})") from error
    return f"{table(Table(('way', 'hard labels', 'soft labels', 'minutes'), rows, numbers=(1, 2, 3)))}\n\n{said}"


def _accuracy(score: dict[str, Any] | None) -> str:
    return "" if score is None else f"{percent(score['mean'])} ± {percent(score['std'])}"


def _shown(default: Any) -> str:
    return "" if default is None else str(default)


def _meaning(metadata: Mapping[str, Any]) -> str:
    choices = metadata["choices"]
    return metadata["help"] + (f" ({', '.join(choices)})" if choices else "")


def results_part(records: Records) -> str:
    """Return what belongs between the markers: the table, then where and how it was measured."""
    return f"{table(results_table(records))}\n\n{device_line(records)} {protocol_line(records)}"


def with_results(text: str, records: Records) -> str:
    """Return the README's text with the part between the markers made anew.

    Raises:
        DDCoreError: it does not hold the two markers, once each and in order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise DDCoreError(f"the README must hold the lines {BEGIN} and {END} once each, in this order")
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n{results_part(records)}\n{END}{rest.split(END)[1]}"


def update_readme(path: Path, records: Records) -> None:
    """Write the table of results into a README.

    Raises:
        DDCoreError: it cannot be read or written, or lacks the markers.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise DDCoreError(f"cannot read {path}: {error.strerror}") from error
    write_atomic(path, with_results(text, records).encode())
