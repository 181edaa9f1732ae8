"""Ridge regression: the linear systems of it, which are symmetric and positive definite."""

import torch
from torch import Tensor

from ddcore.errors import DDCoreError, require


def solve_ridged(products: Tensor, target: Tensor) -> Tensor:
    """Return ``products⁻¹ target``, twice differentiable in both; not finite where `products` is not.

    By Cholesky: it is faster than LU, and LU of a batch is wrong on some processors with several threads.

    Args:
        products: ``(..., D, D)`` floating point, symmetric and, by its ridge, positive definite.
        target: ``(..., D, C)`` of the same dtype.

    Raises:
        DDCoreError: the ridge is too small for the numbers' precision.
    """
    root, failed = torch.linalg.cholesky_ex(products)
    require(
        not bool(failed.any()) or not bool(products.isfinite().all()),
        "the ridge of a regression is too small to solve it: raise --ridge",
        DDCoreError,
    )
    return torch.cholesky_solve(target, root)
