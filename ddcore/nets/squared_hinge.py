"""A linear two-class model on a sparse matrix: L2-regularised squared hinge loss by L-BFGS."""

import warnings
from collections import deque

import torch
from torch import Tensor

HISTORY = 8
SMALLEST_STEP = 1e-6


def fit_squared_hinge(
    row: Tensor,
    column: Tensor,
    value: Tensor,
    p: Tensor,
    features: int,
    strength: float,
    steps: int,
    tolerance: float,
    intercept: bool = True,
) -> tuple[Tensor, Tensor]:
    """Minimise ``|w|² / 2 + strength Σ_i [p_i max(0, 1 - z_i)² + (1 - p_i) max(0, 1 + z_i)²]``, ``z = X w + b``.

    Without the regularisation z tends to 2p - 1, so it can be read as a probability.

    Args:
        row, column, value: ``(P,)`` int64, int64, float32: the entries of X, ordered by column, then by row.
        p: ``(N,)`` float32, chance of the positive class: the labels.
        features: F, columns of X.
        strength: weight of the loss against the regularisation.
        steps: at most so many L-BFGS steps.
        tolerance: stop when the gradient's norm has fallen to this fraction of the first.
        intercept: fit b; otherwise it is 0.

    Returns:
        Weights ``(F,)`` and bias ``()`` float32.

    Source: Nocedal and Wright 2006, algorithms 7.4 (L-BFGS) and 3.1 (backtracking).
    """
    order = torch.argsort(row, stable=True)
    x = _compressed(row[order], column[order], value[order], len(p), features)
    x_turned = _compressed(column, row, value, features, len(p))

    def loss_and_gradient(w: Tensor) -> tuple[Tensor, Tensor]:
        z = x @ w[:-1] + w[-1]
        above, below = (1 - z).clamp(min=0), (1 + z).clamp(min=0)
        loss = strength * (p * above.square() + (1 - p) * below.square()).sum() + w[:-1].square().sum() / 2
        by_z = 2 * strength * ((1 - p) * below - p * above)
        return loss, torch.cat([x_turned @ by_z + w[:-1], intercept * by_z.sum()[None]])

    w = torch.zeros(features + 1, device=value.device)
    loss, gradient = loss_and_gradient(w)
    first = gradient.norm()
    past: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=HISTORY)
    for _ in range(steps):
        direction = _direction(gradient, past)
        slope = gradient @ direction
        length = 1.0
        while True:
            tried = w + length * direction
            tried_loss, tried_gradient = loss_and_gradient(tried)
            if tried_loss <= loss + 1e-4 * length * slope or length < SMALLEST_STEP:
                break
            length /= 2
        moved, turned = tried - w, tried_gradient - gradient
        curvature = moved @ turned
        if curvature > 1e-10:
            past.append((moved, turned, 1 / curvature))
        w, loss, gradient = tried, tried_loss, tried_gradient
        if gradient.norm() <= tolerance * first or length < SMALLEST_STEP:
            break
    return w[:-1], w[-1]


def _direction(gradient: Tensor, past: "deque[tuple[Tensor, Tensor, Tensor]]") -> Tensor:
    """Return the direction of descent that the two-loop recursion gives: ``(F + 1,)``."""
    if not past:
        return -gradient / gradient.norm().clamp(min=1e-12)
    q = -gradient
    shares = []
    for moved, turned, inverse in reversed(past):
        share = inverse * (moved @ q)
        q = q - share * turned
        shares.append(share)
    moved, turned, inverse = past[-1]
    q = q / (inverse * (turned @ turned))
    for (moved, turned, inverse), share in zip(past, reversed(shares), strict=True):
        q = q + (share - inverse * (turned @ q)) * moved
    return q


def _compressed(row: Tensor, column: Tensor, value: Tensor, rows: int, columns: int) -> Tensor:
    """Return a sparse matrix in compressed rows from entries ordered by row."""
    start = torch.zeros(rows + 1, dtype=torch.int64, device=row.device)
    start[1:] = torch.bincount(row, minlength=rows).cumsum(0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        # 32-bit indices: half the memory traffic, which is what a product costs.
        return torch.sparse_csr_tensor(start.int(), column.int(), value, (rows, columns), check_invariants=False)
