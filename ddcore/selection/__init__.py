"""Choosing real members."""

from ddcore.selection.rded import RDED
from ddcore.selection.registry import SELECTORS
from ddcore.selection.selected import selected_set
from ddcore.selection.selector import Selector
from ddcore.selection.start import starting_members

__all__ = ["RDED", "SELECTORS", "Selector", "selected_set", "starting_members"]
