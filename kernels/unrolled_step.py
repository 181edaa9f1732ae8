"""One inner optimiser step on the flat parameter vector, and its adjoint: everything but the network's own part.

The state of an optimiser is a tuple of rows ``(P,)``: the parameters theta, then the momentum m, then Adam's mean
square v. With the loss's gradient ``g = grad + weight_decay theta``:

    SGD    m' = mu m + g,                       theta' = theta - eta m'        (mu = 0: one row, m' = g)
    Adam   m' = b1 m + (1 - b1) g,  v' = b2 v + (1 - b2) g²,
           theta' = theta - eta mhat / (sqrt(vhat) + eps),  mhat = m' / (1 - b1^k),  vhat = v' / (1 - b2^k)

as in `torch.optim`. The adjoint of Adam's step, with lam, mb, vb the cotangents of theta', m', v':

    mb += -eta lam / ((1 - b1^k) (sqrt(vhat) + eps))
    vb += eta lam mhat / (2 (1 - b2^k) sqrt(vhat) (sqrt(vhat) + eps)²)
    cotangent of g: (1 - b1) mb + 2 (1 - b2) g vb;  of m: b1 mb;  of v: b2 vb

A parameter whose gradients were all zero has vhat = 0 and does not move; its square root is cut out of the adjoint.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

Rows = tuple[Tensor, ...]


@dataclass(frozen=True)
class Rule:
    """An inner optimiser.

    Attributes:
        optimiser: ``sgd`` or ``adam``.
        momentum: SGD's momentum; Adam's first beta.
        second: Adam's second beta.
        eps: added to the root of Adam's mean square.
        weight_decay: times theta is added to the gradient.
    """

    optimiser: str = "sgd"
    momentum: float = 0.0
    second: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0

    @property
    def rows(self) -> int:
        """How many vectors of P numbers the state has: 1, 2 or 3."""
        return 3 if self.optimiser == "adam" else 2 if self.momentum else 1


def advance(state: Rows, g: Tensor, rate: Tensor | float, count: int, rule: Rule) -> Rows:
    """Return the state after one step; differentiable in the state, the gradient and the rate.

    Args:
        state: `rule.rows` vectors ``(P,)``.
        g: ``(P,)``, the gradient of the loss without weight decay.
        rate: eta, a number or a tensor ``()``.
        count: steps taken before this one, for Adam's bias correction.
        rule: the optimiser.
    """
    theta = state[0]
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
    """What one step's adjoint asks of the network.

    Attributes:
        along: ``(P,)``, the direction of the Hessian-vector product.
        scale: the cotangent of g is ``scale * along``.
        rate: ``()``, the derivative of the outer loss in this step's rate; None where it is
            ``-(<g, along> + weight_decay <theta, along>)``, with the slope <g, along> that the network gives.
    """

    along: Tensor
    scale: Tensor | float
    rate: Tensor | None


def retreat(
    before: Rows, after: Rows, adjoints: Rows, rate: Tensor | float, count: int, rule: Rule
) -> tuple[Cotangent, Rows]:
    """Return the first half of a step's adjoint, up to the Hessian-vector product.

    Args:
        before, after: the states around the step.
        adjoints: cotangents of the rows of `after`.
        rate: eta of the step, a number or a tensor ``()``.
        count: steps taken before this one.
        rule: the optimiser.

    Returns:
        What to ask of the network, and the cotangents of the rows of `before`, to whose first the caller adds
        ``scale * (H along + weight_decay along)``.
    """
    lam = adjoints[0]
    if rule.rows == 1:
        return Cotangent(lam, -rate, None), (lam,)
    if rule.optimiser == "sgd":
        nu = adjoints[1] - rate * lam
        return Cotangent(nu, 1.0, -torch.dot(lam, after[1])), (lam, rule.momentum * nu)
    g = (after[1] - rule.momentum * before[1]) / (1 - rule.momentum)
    move, root, inverse = _adam_move(after[1], after[2], count + 1, rule)
    fast, slow = 1 - rule.momentum ** (count + 1), 1 - rule.second ** (count + 1)
    pulled = rate * lam * inverse
    mean = adjoints[1] - pulled / fast
    safe = torch.where(root > 0, root, torch.ones_like(root))
    square = adjoints[2] + torch.where(root > 0, pulled * move / (2 * slow * safe), torch.zeros_like(root))
    along = (1 - rule.momentum) * mean + 2 * (1 - rule.second) * g * square
    return (
        Cotangent(along, 1.0, -torch.dot(lam, move)),
        (lam, rule.momentum * mean, rule.second * square),
    )


def _adam_move(mean: Tensor, square: Tensor, count: int, rule: Rule) -> tuple[Tensor, Tensor, Tensor]:
    """Return Adam's step for a rate of 1, the root of vhat, and ``1 / (root + eps)``; no root of zero is derived."""
    held = square > 0
    root = torch.where(held, square, torch.ones_like(square)).div(1 - rule.second**count).sqrt()
    root = torch.where(held, root, torch.zeros_like(root))
    inverse = 1 / (root + rule.eps)
    return mean / (1 - rule.momentum**count) * inverse, root, inverse
