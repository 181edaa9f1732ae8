"""The table of formats and the table of normalisations, for the pages."""

from ddcore.errors import known
from ddcore.report.markdown import table
from ddcore.report.names import dataset_name
from ddcore.report.tables import Table
from ddcore.sets import FORMATS, PEER_SCALES, Format

YES = {True: "yes", False: "no"}


def formats_part(name: str) -> str:
    """Return one of the tables in Markdown.

    Args:
        name: ``table``, ``layouts`` or ``normalisations``.

    Raises:
        UsageError: there is no such table.
    """
    parts = {"table": _table, "layouts": _layouts, "normalisations": _normalisations}
    return parts[known("table of formats", name, list(parts))]()


def _table() -> str:
    rows: list[tuple[str, ...]] = [
        (
            row.name,
            row.title.replace("`", ""),
            ", ".join(row.kinds),
            YES[row.read is not None],
            YES[row.write is not None],
            row.normalisation,
        )
        for row in FORMATS.values()
    ]
    return table(Table(("--format", "tools", "holds", "import", "export", "normalisation of float images"), rows))


def _layouts() -> str:
    return "\n\n".join(map(_layout, FORMATS.values()))


def _layout(row: Format) -> str:
    return (
        f"### `{row.name}`: {row.title}\n\n"
        f"- **Layout:** {row.layout}.\n"
        f"- **Not in it:** {row.lacks}.\n"
        f"- **Round trip:** {row.rounding}.\n"
        f"- **Source:** {row.source}."
    )


def _normalisations() -> str:
    rows: list[tuple[str, ...]] = [
        (name, dataset_name(dataset), *(", ".join(f"{value:g}" for value in values) for values in pair))
        for name, scales in PEER_SCALES.items()
        for dataset, pair in ((dataset, (scale.mean, scale.std)) for dataset, scale in scales.items())
    ]
    return table(Table(("name", "data set", "mean", "standard deviation"), rows))
