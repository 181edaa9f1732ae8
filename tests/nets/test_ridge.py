import pytest
import torch

from ddcore.errors import DDCoreError
from ddcore.nets.ridge import solve_ridged


def ridged(batch: int, size: int, seed: int = 0) -> torch.Tensor:
    x = torch.randn(batch, size, 2 * size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x @ x.mT / size + 0.1 * torch.eye(size, dtype=torch.float64)


def test_answers_and_both_derivatives_are_those_of_a_plain_solution():
    products, target = ridged(3, 5), torch.ones(3, 5, 2, dtype=torch.float64)
    torch.testing.assert_close(solve_ridged(products, target), torch.linalg.solve(products, target))
    root = torch.linalg.cholesky(products).requires_grad_()
    whole = (root, target.requires_grad_())
    slopes = [
        torch.autograd.grad(solve(root @ root.mT, target).square().sum(), whole)
        for solve in (solve_ridged, torch.linalg.solve)
    ]
    torch.testing.assert_close(slopes[0], slopes[1])
    assert torch.autograd.gradgradcheck(lambda root, y: solve_ridged(root @ root.mT, y), whole)


def test_batches_of_real_size_are_right_with_two_threads():
    # LU of exactly these, torch.linalg.lu_factor, returns pivots of 0 on some processors.
    torch.set_num_threads(2)
    products = ridged(2, 257)
    target = torch.ones(2, 257, 10, dtype=torch.float64)
    for dtype, most in ((torch.float32, 1e-3), (torch.float64, 1e-10)):
        answers = solve_ridged(products.to(dtype), target.to(dtype)).double()
        assert (products @ answers - target).abs().max() < most


def test_a_ridge_too_small_is_refused_and_what_is_not_finite_stays_so():
    flat = torch.ones(4, 4)
    with pytest.raises(DDCoreError, match="raise --ridge"):
        solve_ridged(flat - 1e-3 * torch.eye(4), torch.ones(4, 1))
    flat[1, 1] = torch.nan
    assert not solve_ridged(flat, torch.ones(4, 1)).isfinite().any()
