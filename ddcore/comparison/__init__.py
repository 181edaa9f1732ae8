"""Methods and selectors side by side: the same time for each, the same evaluation for all."""

from ddcore.comparison.comparison import Comparison
from ddcore.comparison.entries import entries
from ddcore.comparison.published import PUBLISHED_CELLS, PublishedCell, run_cell
from ddcore.comparison.readings import readings_of, with_places
from ddcore.comparison.terms import NAMED, Terms, networks

__all__ = [
    "NAMED",
    "PUBLISHED_CELLS",
    "Comparison",
    "PublishedCell",
    "Terms",
    "entries",
    "networks",
    "readings_of",
    "run_cell",
    "with_places",
]
