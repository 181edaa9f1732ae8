"""Methods and selectors side by side: the same time for each, the same evaluation for all."""

from ddcore.comparison.comparison import Comparison
from ddcore.comparison.entries import entries
from ddcore.comparison.readings import readings_of, with_places
from ddcore.comparison.terms import NAMED, Terms, networks

__all__ = ["NAMED", "Comparison", "Terms", "entries", "networks", "readings_of", "with_places"]
