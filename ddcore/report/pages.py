"""Generated parts of the README and of the pages in ``docs/``, each between two markers.

The first marker says what the part is generated from: ``<!-- options: NAME -->`` the options of methods or selectors,
``<!-- figures: FILE NAME NAME -->`` the accuracies of some methods in a ``comparison.json``,
``<!-- results: FOLDER -->`` the table of the report in a folder, ``<!-- results: FOLDER headlines -->`` its results
alone, each beside random members, ``<!-- measured: FILE BENCHMARK DEVICE -->`` the
medians of a benchmark on a device, ``<!-- scale: FILE -->`` what ``benchmark.py scale`` measured,
``<!-- costs: FILE -->`` what ImageNet-1k costs at a measured rate,
``<!-- protocols: all -->`` the evaluation protocols, ``<!-- published: FOLDER -->`` published figures that were
repeated, ``<!-- formats: NAME -->`` a table of formats (`ddcore.report.formats`), ``<!-- file: FILE -->`` the text of
a file. The second is ``<!-- end -->``.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from ddcore.errors import DDCoreError, require
from ddcore.options import options_of
from ddcore.report.comparison import BOTH, commits_of, drawn_several
from ddcore.report.costs import costs_part
from ddcore.report.formats import formats_part
from ddcore.report.markdown import table
from ddcore.report.measurements import measurements_part
from ddcore.report.names import network_name, spread
from ddcore.report.protocol import device_line, protocol_line
from ddcore.report.protocols import protocols_part
from ddcore.report.published_table import published_part
from ddcore.report.records import read_records
from ddcore.report.scale import scale_part
from ddcore.report.tables import Table, headlines_table, results_table
from ddcore.runtime import read_json, write_atomic

KINDS = "options|figures|results|measured|scale|costs|protocols|published|formats|file"
PART = re.compile(rf"(<!-- ({KINDS}): ([^>]+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def with_parts(text: str, makers: Mapping[str, type], root: Path, draw: bool = True) -> str:
    """Return the text of a page with all its generated parts up to date.

    Args:
        text: of the page.
        makers: methods and selectors by name.
        root: the folder that file names are relative to.
        draw: also write the pictures of the parts.

    Raises:
        DDCoreError: a marker names something that does not exist, or has no end.
    """
    check_markers(text)

    def updated(part: re.Match[str]) -> str:
        first, kind, names, _, last = part.groups()
        words = names.split()
        match kind:
            case "options":
                content = "\n\n".join(options_part(name, makers) for name in words)
            case "results":
                content = results_part(root / words[0], headlines="headlines" in words)
            case "measured":
                content = measurements_part(root / words[0], words[1], " ".join(words[2:]))
            case "costs":
                content = costs_part(root / words[0])
            case "protocols":
                content = protocols_part()
            case "published":
                content = published_part(root / words[0], draw)
            case "scale":
                content = scale_part(root / words[0], draw)
            case "formats":
                content = formats_part(words[0])
            case "file":
                content = file_text(root / words[0]).strip()
            case _:
                content = figures_part(root / words[0], words[1:])
        return f"{first}{content}\n{last}"

    return PART.sub(updated, text)


def check_markers(text: str) -> None:
    """Raise a `DDCoreError` unless every first marker of a page has its own end."""
    opened = len(re.findall(f"<!-- (?:{KINDS}): ", text))
    require(
        opened == len(PART.findall(text)) and opened == text.count("<!-- end -->"),
        f"every <!-- options: … --> (or {KINDS.replace('|', ', ')}) needs an <!-- end --> of its own",
        DDCoreError,
    )


def update_results(page: Path, report: Path) -> None:
    """Write the table of a report into the parts of a page that name the report's folder.

    Args:
        page: such as the README; the folders in its markers are relative to its own folder.
        report: the report's folder.

    Raises:
        DDCoreError: the page cannot be read or written, or no marker names the report.
    """
    text = file_text(page)
    check_markers(text)
    mine = report.resolve()
    parts = [p for p in PART.finditer(text) if p[2] == "results" and (page.parent / p[3].split()[0]).resolve() == mine]
    require(
        bool(parts), f"{page} needs the lines <!-- results: {report} --> and <!-- end --> for this report", DDCoreError
    )
    for part in reversed(parts):
        content = results_part(report, headlines="headlines" in part[3].split())
        text = f"{text[: part.start(4)]}{content}\n{text[part.end(4) :]}"
    write_atomic(page, text.encode())


def file_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        DDCoreError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise DDCoreError(f"{path} cannot be read ({error.strerror})") from error


def options_part(name: str, makers: Mapping[str, type]) -> str:
    """Return a table of the options of a method or selector.

    Raises:
        DDCoreError: none has this name.
    """
    require(name in makers, f"the page names '{name}', which is neither a method nor a selector", DDCoreError)
    rows: list[tuple[str, ...]] = [
        (
            f"--{each.flags[0]}",
            "" if each.default is None else str(each.default),
            each.help + (f" ({', '.join(each.choices)})" if each.choices else ""),
        )
        for each in options_of(makers[name])
    ]
    return table(Table((name, "default", ""), rows)) if rows else f"`{name}` has no options of its own."


def figures_part(path: Path, entries: list[str]) -> str:
    """Return the measured accuracies of some entries of a comparison, random members first, and their protocol.

    Raises:
        DDCoreError: the file is missing or damaged, or holds no accuracy of an entry.
    """
    record = read_json(path)
    try:
        cells = {cell["title"]: cell for cell in record["cells"]}
        protocol, net = record["protocol"], record["protocol"]["net"]
        missing = [entry for entry in entries if entry not in cells]
        require(not missing, f"{path} has no accuracies of {', '.join(missing)}", DDCoreError)
        rows = [
            (
                entry,
                *(spread(cells[entry]["scores"].get(kind, {}).get(net)) for kind in ("hard", "soft")),
                f"{cells[entry]['seconds'] / 60:.1f}",
            )
            for entry in ["random", *entries]
        ]
        asked = [cells[entry] for entry in ["random", *entries]]
        several = f" on every set of a row{BOTH}" if drawn_several(asked) else " on one set per row"
        note = (
            f"{network_name(net)}, {protocol['budget']:,} members of {protocol['dataset']}, "
            f"{len(protocol['seeds'])} fresh networks{several}, test accuracy in percent; "
            f"{protocol['minutes']:g} minutes for methods with outer "
            f"steps. {commits_of(asked)}"
        )
    except (KeyError, TypeError) as error:
        raise DDCoreError(f"{path} is not a comparison of compare.py ({error!r})") from error
    return f"{table(Table(('method', 'hard labels', 'soft labels', 'minutes'), rows, numbers=(1, 2, 3)))}\n\n{note}"


def results_part(report: Path, *, headlines: bool = False) -> str:
    """Return the table of results of a report's folder, and how it was measured; headlines: the table of these alone.

    Raises:
        DDCoreError: its records are missing or damaged.
    """
    records = read_records(report)
    if headlines:
        return table(headlines_table(records))
    return f"{table(results_table(records))}\n\n{device_line(records)} {protocol_line(records)}"
