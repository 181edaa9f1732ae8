"""The README's table of results, written between two markers from the same records as the report."""

from pathlib import Path

from ddcore.errors import DDCoreError
from ddcore.report.markdown import table
from ddcore.report.protocol import device_line, protocol_line
from ddcore.report.records import Records
from ddcore.report.tables import results_table
from ddcore.runs import write_atomic

BEGIN = "<!-- results:begin -->"
END = "<!-- results:end -->"


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
