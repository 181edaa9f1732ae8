"""The methods that synthesise a set, by name."""

from ddcore.methods.dm import DM, DMRun
from ddcore.methods.registry import METHODS

__all__ = ["DM", "METHODS", "DMRun"]
