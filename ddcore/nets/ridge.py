"""Ridge regression: the linear systems of it, which are symmetric and positive definite."""

from typing import Any

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
    solution: Tensor = _Solution.apply(products, target, root.detach())
    return solution


class _Solution(torch.autograd.Function):
    """``A⁻¹ B`` by a Cholesky factor of A that is at hand.

    With ``X = A⁻¹ B`` and the derivative ``G`` of X, that of B is ``A⁻¹ G`` and that of A is ``-A⁻¹ G Xᵀ``: one more
    solution with the same factor, where autograd would differentiate the factorisation itself in eight times as many
    operations. It leaves the derivative of A unsymmetric, which is as good for a symmetric A.
    """

    @staticmethod
    def forward(ctx: Any, products: Tensor, target: Tensor, root: Tensor) -> Tensor:
        solution = torch.cholesky_solve(target, root)
        ctx.save_for_backward(products, root, solution)
        return solution

    @staticmethod
    def backward(ctx: Any, of_solution: Tensor) -> tuple[Tensor, Tensor, None]:
        products, root, solution = ctx.saved_tensors
        of_target = _Solution.apply(products, of_solution, root)
        return -of_target @ solution.mT, of_target, None
