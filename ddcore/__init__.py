"""ddcore: shrink a training set to a tiny one that trains a network nearly as well.

The names below are imported when they are first used, so that ``import ddcore`` itself costs almost nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ddcore.errors import DDCoreError, UsageError
    from ddcore.sets import DistilledSet

__all__ = ["DDCoreError", "DistilledSet", "UsageError"]
__version__ = "0.1.0"

ROOMS = {"DDCoreError": "errors", "DistilledSet": "sets", "UsageError": "errors"}


def __getattr__(name: str) -> object:
    if name not in ROOMS:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
