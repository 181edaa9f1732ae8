"""The Triton kernels of `unrolled_step`."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ddcore.kernels.choice import FUSION
from ddcore.kernels.unrolled_step import Cotangent, Rows, Rule

BLOCK = 1024


def advance(state: Rows, g: Tensor, rate: Tensor | float, count: int, rule: Rule, out: Rows | None) -> Rows:
    """Return the state after one step, as `unrolled_step.advance` does."""
    theta = state[0].contiguous()
    after = out or tuple(torch.empty_like(theta, memory_format=torch.contiguous_format) for _ in range(rule.rows))
    rows, outs = (*(row.contiguous() for row in state), theta, theta)[:3], (*after, theta, theta)[:3]
    advance_kernel[(triton.cdiv(len(theta), BLOCK),)](
        *rows,
        g.contiguous(),
        _on(rate, theta),
        *outs,
        len(theta),
        rule.momentum,
        rule.second,
        rule.eps,
        rule.weight_decay,
        1 - rule.momentum ** (count + 1),
        1 - rule.second ** (count + 1),
        ROWS=rule.rows,
        BLOCK_PARAMETERS=BLOCK,
        **FUSION,
    )
    return after


def retreat(
    before: Rows, after: Rows, adjoints: Rows, rate: Tensor | float, count: int, rule: Rule
) -> tuple[Cotangent, Rows]:
    """Return the first half of a step's adjoint, as `unrolled_step.retreat` does."""
    before, after, adjoints = (tuple(row.contiguous() for row in rows) for rows in (before, after, adjoints))
    lam = adjoints[0]
    blocks = triton.cdiv(len(lam), BLOCK)
    along, nu, xi, dots = (torch.empty_like(lam), torch.empty_like(lam), lam, lam.new_empty(blocks))
    if rule.rows == 3:
        xi = torch.empty_like(lam)
    retreat_kernel[(blocks,)](
        before[1],
        after[1],
        after[-1],
        lam,
        adjoints[1],
        adjoints[-1],
        _on(rate, lam),
        along,
        nu,
        xi,
        dots,
        len(lam),
        rule.momentum,
        rule.second,
        rule.eps,
        1 - rule.momentum ** (count + 1),
        1 - rule.second ** (count + 1),
        ROWS=rule.rows,
        BLOCK_PARAMETERS=BLOCK,
        **FUSION,
    )
    return Cotangent(along, None, dots), (lam, nu, xi)[: rule.rows]


def _on(rate: Tensor | float, like: Tensor) -> Tensor:
    """Return a rate as a tensor ``()`` beside another."""
    return torch.as_tensor(rate, dtype=like.dtype, device=like.device)


@triton.jit
def advance_kernel(
    theta_ptr,
    mean_ptr,
    square_ptr,
    g_ptr,
    rate_ptr,
    theta_next_ptr,
    mean_next_ptr,
    square_next_ptr,
    n_parameters,
    momentum,
    second,
    eps,
    decay,
    fast,
    slow,
    ROWS: tl.constexpr,
    BLOCK_PARAMETERS: tl.constexpr,
):
    """Write the state after a step; `fast` and `slow` are 1 - b1^k and 1 - b2^k."""
    place = tl.program_id(0) * BLOCK_PARAMETERS + tl.arange(0, BLOCK_PARAMETERS)
    there = place < n_parameters
    here = tl.load(theta_ptr + place, mask=there)  # (BLOCK_PARAMETERS,), as all that follow
    slope = tl.load(g_ptr + place, mask=there) + decay * here
    eta = tl.load(rate_ptr)
    if ROWS == 1:
        move = slope
    elif ROWS == 2:
        move = momentum * tl.load(mean_ptr + place, mask=there) + slope
        tl.store(mean_next_ptr + place, move, mask=there)
    else:
        m = momentum * tl.load(mean_ptr + place, mask=there) + (1 - momentum) * slope
        v = second * tl.load(square_ptr + place, mask=there) + (1 - second) * slope * slope
        tl.store(mean_next_ptr + place, m, mask=there)
        tl.store(square_next_ptr + place, v, mask=there)
        move = m / fast / (tl.sqrt(v / slow) + eps)
    tl.store(theta_next_ptr + place, here - eta * move, mask=there)


@triton.jit
def retreat_kernel(
    mean_ptr,
    mean_next_ptr,
    square_next_ptr,
    lam_ptr,
    nu_ptr,
    xi_ptr,
    rate_ptr,
    along_ptr,
    nu_next_ptr,
    xi_next_ptr,
    dots_ptr,
    n_parameters,
    momentum,
    second,
    eps,
    fast,
    slow,
    ROWS: tl.constexpr,
    BLOCK_PARAMETERS: tl.constexpr,
):
    """Write the direction, the moments' cotangents nu and xi, and each block's part of <lam, move>."""
    place = tl.program_id(0) * BLOCK_PARAMETERS + tl.arange(0, BLOCK_PARAMETERS)
    there = place < n_parameters
    up = tl.load(lam_ptr + place, mask=there, other=0.0)  # (BLOCK_PARAMETERS,), as all that follow
    m = tl.load(mean_next_ptr + place, mask=there, other=0.0)
    down = tl.load(nu_ptr + place, mask=there, other=0.0)
    eta = tl.load(rate_ptr)
    if ROWS == 2:
        move = m
        down -= eta * up
        tl.store(along_ptr + place, down, mask=there)
    else:
        v = tl.load(square_next_ptr + place, mask=there, other=0.0)
        # The gradient is recovered from the two means: storing it would cost another vector per step.
        g = (m - momentum * tl.load(mean_ptr + place, mask=there, other=0.0)) / (1 - momentum)
        root = tl.sqrt(v / slow)
        inverse = 1.0 / (root + eps)
        move = m / fast * inverse
        pulled = eta * up * inverse
        down -= pulled / fast
        bent = tl.load(xi_ptr + place, mask=there, other=0.0)
        bent += tl.where(root > 0, pulled * move / (2 * slow * tl.where(root > 0, root, 1.0)), 0.0)
        tl.store(along_ptr + place, (1 - momentum) * down + 2 * (1 - second) * g * bent, mask=there)
        tl.store(xi_next_ptr + place, second * bent, mask=there)
    tl.store(nu_next_ptr + place, momentum * down, mask=there)
    # One partial sum per block, added up afterwards: without atomics the bits are the same every time.
    tl.store(dots_ptr + tl.program_id(0), tl.sum(tl.where(there, up * move, 0.0), 0))
