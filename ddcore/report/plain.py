"""A table as lines for a terminal."""

from collections.abc import Sequence

from ddcore.report.tables import Table


def lines(table: Table) -> list[str]:
    """Return the header, a rule and the rows, columns as wide as their longest cell, numbers to the right."""
    rows: list[Sequence[str]] = [table.headers, *table.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.headers))]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.rjust(width) if column in table.numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return [line(table.headers), "  ".join("-" * width for width in widths), *map(line, table.rows)]
