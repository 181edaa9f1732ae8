"""A linear two-class model on a sparse matrix: L2-regularised squared hinge loss, minimised by L-BFGS."""

import warnings
from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor

HISTORY = 8
SMALLEST_STEP = 1e-6


@dataclass(frozen=True)
class Entries:
    """The entries of a sparse matrix X ``(N, F)``.

    Attributes:
        row, column: ``(P,)`` int64, their places, ordered by column, then by row.
        value: ``(P,)`` float32.
        columns: F.
    """

    row: Tensor
    column: Tensor
    value: Tensor
    columns: int


def fit_squared_hinge(
    entries: Entries, p: Tensor, strength: float, steps: int, tolerance: float, intercept: bool = True
) -> tuple[Tensor, Tensor]:
    """Minimise ``|w|² / 2 + strength Σ_i [p_i max(0, 1 - z_i)² + (1 - p_i) max(0, 1 + z_i)²]``, ``z = X w + b``.

    Without the regularisation z tends to 2p - 1, so (1 + z) / 2 is an estimate of the probability p.

    Args:
        entries: of X.
        p: ``(N,)`` float32, the labels: probability of the positive class.
        strength: weight of the loss against the regularisation.
        steps: maximum number of L-BFGS steps.
        tolerance: stop when the norm of the gradient is at most this fraction of its first value.
        intercept: whether to fit b; otherwise b is 0.

    Returns:
        Weights ``(F,)`` and bias ``()`` float32.

    Source: Nocedal and Wright 2006, algorithms 7.4 (L-BFGS) and 3.1 (backtracking).
    """
    row, column, value = entries.row, entries.column, entries.value
    order = torch.argsort(row, stable=True)
    x = _compressed(row[order], column[order], value[order], (len(p), entries.columns))
    x_transposed = _compressed(column, row, value, (entries.columns, len(p)))

    def loss_and_gradient(w: Tensor) -> tuple[Tensor, Tensor]:
        z = x @ w[:-1] + w[-1]
        above, below = (1 - z).clamp(min=0), (1 + z).clamp(min=0)
        loss = strength * (p * above.square() + (1 - p) * below.square()).sum() + w[:-1].square().sum() / 2
        by_z = 2 * strength * ((1 - p) * below - p * above)
        return loss, torch.cat([x_transposed @ by_z + w[:-1], intercept * by_z.sum()[None]])

    w = torch.zeros(entries.columns + 1, device=value.device)
    loss, gradient = loss_and_gradient(w)
    first = gradient.norm()
    past: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=HISTORY)
    for _ in range(steps):
        direction = _direction(gradient, past)
        slope = gradient @ direction
        length = 1.0
        while True:
            trial = w + length * direction
            trial_loss, trial_gradient = loss_and_gradient(trial)
            if trial_loss <= loss + 1e-4 * length * slope or length < SMALLEST_STEP:
                break
            length /= 2
        move, change = trial - w, trial_gradient - gradient
        curvature = move @ change
        if curvature > 1e-10:
            past.append((move, change, 1 / curvature))
        w, loss, gradient = trial, trial_loss, trial_gradient
        if gradient.norm() <= tolerance * first or length < SMALLEST_STEP:
            break
    return w[:-1], w[-1]


def _direction(gradient: Tensor, past: "deque[tuple[Tensor, Tensor, Tensor]]") -> Tensor:
    """Return the descent direction of the two-loop recursion: ``(F + 1,)``."""
    if not past:
        return -gradient / gradient.norm().clamp(min=1e-12)
    q = -gradient
    shares = []
    for move, change, inverse in reversed(past):
        share = inverse * (move @ q)
        q = q - share * change
        shares.append(share)
    move, change, inverse = past[-1]
    q = q / (inverse * (change @ change))
    for (move, change, inverse), share in zip(past, reversed(shares), strict=True):
        q = q + (share - inverse * (change @ q)) * move
    return q


def _compressed(row: Tensor, column: Tensor, value: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return a sparse matrix in the CSR layout from entries ordered by row."""
    start = torch.zeros(shape[0] + 1, dtype=torch.int64, device=row.device)
    start[1:] = torch.bincount(row, minlength=shape[0]).cumsum(0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        # 32-bit indices halve the memory traffic, which limits the speed of the product.
        return torch.sparse_csr_tensor(start.int(), column.int(), value, shape, check_invariants=False)
