"""Choosing real members."""

from ddcore.selection.choice import Choice
from ddcore.selection.k_means import KMeans
from ddcore.selection.registry import SELECTORS
from ddcore.selection.selected import check_budget, selected_set

__all__ = ["SELECTORS", "Choice", "KMeans", "check_budget", "selected_set"]
