"""ddcore: shrink a training set to a tiny one that trains a network nearly as well."""

from ddcore.errors import DDCoreError, UsageError
from ddcore.sets import DistilledSet

__all__ = ["DDCoreError", "DistilledSet", "UsageError"]
__version__ = "0.1.0"
