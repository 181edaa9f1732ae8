"""One inner optimiser step on the flat parameter vector, and its adjoint, without the network's part.

The state of an optimiser is a tuple of rows ``(P,)``: the parameters theta, then the momentum m, then Adam's mean
square v. With the loss's gradient ``g = grad + weight_decay theta``:

    SGD    m' = mu m + g,                       theta' = theta - eta m'        (mu = 0: one row, m' = g)
    Adam   m' = b1 m + (1 - b1) g,  v' = b2 v + (1 - b2) g²,
           theta' = theta - eta mhat / (sqrt(vhat) + eps),  mhat = m' / (1 - b1^k),  vhat = v' / (1 - b2^k)

as in `torch.optim`. In reverse, with lam and nu the cotangents of theta' and m', the adjoint of SGD's step is

    nu += -eta lam;  cotangent of g: nu;  of m: mu nu;  d_eta = -<lam, m'>

because theta' depends on m' by -eta, and m' on g and m by 1 and mu. With one row the cotangent of g is -eta lam. In the
same way, with mb and vb the cotangents of Adam's m' and v' (``d sqrt(vhat) / dv' = 1 / (2 (1 - b2^k) sqrt(vhat))``):

    mb += -eta lam / ((1 - b1^k) (sqrt(vhat) + eps))
    vb += eta lam mhat / (2 (1 - b2^k) sqrt(vhat) (sqrt(vhat) + eps)²)
    cotangent of g: (1 - b1) mb + 2 (1 - b2) g vb;  of m: b1 mb;  of v: b2 vb

A parameter whose gradients were all zero has vhat = 0 and does not move. The root's derivative is infinite there, so
the adjoint leaves its term out.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.kernels.choice import alike, fused

Rows = tuple[Tensor, ...]


@dataclass(frozen=True)
class Rule:
    """An inner optimiser.

    Attributes:
        optimiser: ``sgd`` or ``adam``.
        momentum: SGD's momentum; Adam's first beta.
        second: Adam's second beta.
        eps: added to the root of Adam's mean square.
        weight_decay: factor of theta in the gradient.
    """

    optimiser: str = "sgd"
    momentum: float = 0.0
    second: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0

    @property
    def rows(self) -> int:
        """Number of vectors ``(P,)`` of the state: 1, 2 or 3."""
        return 3 if self.optimiser == "adam" else 2 if self.momentum else 1


def advance(state: Rows, g: Tensor, rate: Tensor | float, count: int, rule: Rule, out: Rows | None = None) -> Rows:
    """Return the state after one step; differentiable in the state, the gradient and the rate.

    Args:
        state: `rule.rows` vectors ``(P,)``.
        g: ``(P,)``, the gradient of the loss without weight decay.
        rate: eta, a number or a tensor ``()``.
        count: number of steps before this one, for Adam's bias correction.
        rule: the optimiser.
        out: tensors for the state after the step; then nothing is differentiated.

    Raises:
        ValueError: the number of rows is not the rule's, or their shapes, dtypes or devices differ.
    """
    theta = state[0]
    _check(rule, state=state)
    alike("g", g, theta)
    if fused(theta) and not any(each.requires_grad for each in (*state, g)):
        from ddcore.kernels import unrolled_step_triton

        return unrolled_step_triton.advance(state, g, rate, count, rule, out)
    if out is not None:
        for row, after in zip(out, advance(state, g, rate, count, rule), strict=True):
            row.copy_(after)
        return out
    if rule.weight_decay:
        g = g + rule.weight_decay * theta
    if rule.optimiser == "sgd":
        move = g if rule.rows == 1 else rule.momentum * state[1] + g
        return (theta - rate * move, move)[: rule.rows]
    mean = rule.momentum * state[1] + (1 - rule.momentum) * g
    square = rule.second * state[2] + (1 - rule.second) * g * g
    move, _, _ = _adam_move(mean, square, count + 1, rule)
    return theta - rate * move, mean, square


@dataclass
class Cotangent:
    """The cotangent of a step's gradient, along which the network is differentiated.

    Attributes:
        along: ``(P,)``, the direction of the Hessian-vector product.
        scale: the cotangent of g is ``scale * along``; None for 1.
        moved: parts of <lam, move>: the derivative in the rate is minus their sum. None for SGD without momentum,
            whose derivative is ``-(<g, along> + weight_decay <theta, along>)`` with the network's slope <g, along>.
    """

    along: Tensor
    scale: Tensor | None
    moved: Tensor | None


def retreat(
    before: Rows, after: Rows, adjoints: Rows, rate: Tensor | float, count: int, rule: Rule
) -> tuple[Cotangent, Rows]:
    """Return the first half of a step's adjoint, before the Hessian-vector product.

    Args:
        before, after: the states before and after the step.
        adjoints: cotangents of the rows of `after`.
        rate: eta of the step, a number or a tensor ``()``.
        count: number of steps before this one.
        rule: the optimiser.

    Returns:
        The cotangent of g, and the cotangents of the rows of `before`. The caller adds
        ``scale * (H along + weight_decay along)`` to the first of these.

    Raises:
        ValueError: the number of rows is not the rule's, or their shapes, dtypes or devices differ.
    """
    lam = adjoints[0]
    _check(rule, before=before, after=after, adjoints=adjoints)
    if rule.rows == 1:
        return Cotangent(lam, torch.as_tensor(-rate, dtype=lam.dtype, device=lam.device), None), (lam,)
    if fused(lam):
        from ddcore.kernels import unrolled_step_triton

        return unrolled_step_triton.retreat(before, after, adjoints, rate, count, rule)
    if rule.optimiser == "sgd":
        nu = adjoints[1] - rate * lam
        return Cotangent(nu, None, torch.dot(lam, after[1])[None]), (lam, rule.momentum * nu)
    g = (after[1] - rule.momentum * before[1]) / (1 - rule.momentum)
    move, root, inverse = _adam_move(after[1], after[2], count + 1, rule)
    fast, slow = 1 - rule.momentum ** (count + 1), 1 - rule.second ** (count + 1)
    pulled = rate * lam * inverse
    mean = adjoints[1] - pulled / fast
    safe = torch.where(root > 0, root, torch.ones_like(root))
    square = adjoints[2] + torch.where(root > 0, pulled * move / (2 * slow * safe), torch.zeros_like(root))
    along = (1 - rule.momentum) * mean + 2 * (1 - rule.second) * g * square
    return (
        Cotangent(along, None, torch.dot(lam, move)[None]),
        (lam, rule.momentum * mean, rule.second * square),
    )


def _check(rule: Rule, **states: Rows) -> None:
    like: Tensor | None = None
    for name, rows in states.items():
        if len(rows) != rule.rows or rows[0].ndim != 1 or not len(rows[0]):
            raise ValueError(f"{name} must be {rule.rows} vectors of the parameters' length, not {len(rows)}")
        like = rows[0] if like is None else like
        for row in rows:
            alike(name, row, like)


def _adam_move(mean: Tensor, square: Tensor, count: int, rule: Rule) -> tuple[Tensor, Tensor, Tensor]:
    """Return Adam's step for a rate of 1, the root of vhat, and ``1 / (root + eps)``."""
    # Zeros are replaced before the root as well: autograd would otherwise multiply its infinite derivative by zero.
    positive = square > 0
    root = torch.where(positive, square, torch.ones_like(square)).div(1 - rule.second**count).sqrt()
    root = torch.where(positive, root, torch.zeros_like(root))
    inverse = 1 / (root + rule.eps)
    return mean / (1 - rule.momentum**count) * inverse, root, inverse
