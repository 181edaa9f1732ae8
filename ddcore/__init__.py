"""ddcore: shrink a training set to a tiny one that trains a network nearly as well.

The names below are imported when they are first used, so that ``import ddcore`` itself costs almost nothing.
"""

import os.path
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ddcore.api import distill, evaluate, load_task, select
    from ddcore.errors import DDCoreError, UsageError
    from ddcore.sets import DistilledSet
    from ddcore.training import Evaluation
    from ddcore.unroll import Unroll, meta_gradient

__all__ = [
    "DDCoreError",
    "DistilledSet",
    "Evaluation",
    "Unroll",
    "UsageError",
    "distill",
    "evaluate",
    "load_task",
    "meta_gradient",
    "select",
]

# In a checkout the folder of `ddcore.kernels` lies beside this one; in a wheel, inside. The top-level name `kernels`
# belongs to a package of the registry, so that it is never imported.
if not os.path.exists(os.path.join(os.path.dirname(__file__), "kernels", "__init__.py")):
    __path__.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

ROOMS = {
    "DDCoreError": "errors",
    "DistilledSet": "sets",
    "Evaluation": "training",
    "Unroll": "unroll",
    "UsageError": "errors",
    "distill": "api",
    "evaluate": "api",
    "load_task": "api",
    "meta_gradient": "unroll",
    "select": "api",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        with open(os.path.join(os.path.dirname(__file__), "VERSION"), encoding="utf-8") as file:
            return file.read().strip()
    if name not in ROOMS:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
