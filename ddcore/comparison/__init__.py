"""Methods and selectors side by side: the same time for each, the same evaluation for all."""

from ddcore.comparison.comparison import Comparison
from ddcore.comparison.entries import entries
from ddcore.comparison.terms import Terms, networks

__all__ = ["Comparison", "Terms", "entries", "networks"]
