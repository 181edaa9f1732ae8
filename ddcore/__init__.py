"""ddcore: shrink a training set to a tiny one that trains a network nearly as well."""

from ddcore.api import distill, load_task, select
from ddcore.errors import DDCoreError, UsageError
from ddcore.sets import DistilledSet
from ddcore.unroll import Unroll, meta_gradient

__all__ = ["DDCoreError", "DistilledSet", "Unroll", "UsageError", "distill", "load_task", "meta_gradient", "select"]
__version__ = "0.1.0"
