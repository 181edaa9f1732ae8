"""The named evaluation protocols as a part of a page."""

from ddcore.data import published_kinds
from ddcore.report.markdown import table
from ddcore.report.names import network_name
from ddcore.report.tables import Table
from ddcore.training import PROTOCOLS, NamedProtocol


def protocols_part() -> str:
    """Return the evaluation protocols: a table, and a paragraph for each."""
    rows: list[tuple[str, ...]] = [
        (
            each.name,
            each.title,
            network_name(each.net) if each.recipe else "as asked for",
            *((str(each.networks), str(each.sets)) if each.recipe else ("", "")),
        )
        for each in PROTOCOLS.values()
    ]
    heads = ("protocol", "whose", "network", "networks per set, as published", "sets, as published")
    return "\n\n".join([table(Table(heads, rows, numbers=(3, 4))), *map(_paragraph, PROTOCOLS.values()), _changes()])


def _paragraph(each: NamedProtocol) -> str:
    deviates = f" Deviates: {each.deviates}." if each.deviates else ""
    return f"**`{each.name}`**: {each.summary}. Source: {each.source}.{deviates}"


def _changes() -> str:
    """Return a table of the changes of images by protocol and data set."""
    sets = ("mnist", "fashion_mnist", "svhn", "cifar10")
    names = [name for name, each in PROTOCOLS.items() if each.recipe]
    rows = [(name, *(", ".join(published_kinds(name, each)) or "none" for each in sets)) for name in names]
    return table(Table(("changes of", *sets), rows))
