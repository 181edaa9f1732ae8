"""The Triton kernels of `unrolled_step`."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ddcore.kernels.choice import FUSION, launch
from ddcore.kernels.unrolled_step import Cotangent, Rows, Rule

# Parameters per program: 8 per thread.
CONSTANTS = {"BLOCK_PARAMETERS": 1024, "num_warps": 4, **FUSION}


def advance(state: Rows, g: Tensor, rate: Tensor | float, count: int, rule: Rule, out: Rows | None) -> Rows:
    """Return the state after one step, as `unrolled_step.advance` does."""
    theta = state[0].contiguous()
    after = out or tuple(torch.empty_like(theta, memory_format=torch.contiguous_format) for _ in range(rule.rows))
    rows, outs = (*(row.contiguous() for row in state), theta, theta)[:3], (*after, theta, theta)[:3]
    launch(
        advance_kernel,
        (triton.cdiv(len(theta), CONSTANTS["BLOCK_PARAMETERS"]),),
        *rows,
        g.contiguous(),
        _on(rate, theta),
        *outs,
        len(theta),
        rule.momentum,
        rule.second,
        rule.eps,
        rule.weight_decay,
        *_complements(rule, count),
        on=theta,
        ROWS=rule.rows,
        **CONSTANTS,
    )
    return after


def retreat(
    before: Rows, after: Rows, adjoints: Rows, rate: Tensor | float, count: int, rule: Rule
) -> tuple[Cotangent, Rows]:
    """Return the first half of a step's adjoint, as `unrolled_step.retreat` does."""
    before, after, adjoints = (tuple(row.contiguous() for row in rows) for rows in (before, after, adjoints))
    lam = adjoints[0]
    blocks = triton.cdiv(len(lam), CONSTANTS["BLOCK_PARAMETERS"])
    along, nu, xi, dots = (torch.empty_like(lam), torch.empty_like(lam), lam, lam.new_empty(blocks))
    if rule.rows == 3:
        xi = torch.empty_like(lam)
    launch(
        retreat_kernel,
        (blocks,),
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
        *_complements(rule, count),
        on=lam,
        ROWS=rule.rows,
        **CONSTANTS,
    )
    return Cotangent(along, None, dots), (lam, nu, xi)[: rule.rows]


def _on(rate: Tensor | float, like: Tensor) -> Tensor:
    """Return a rate as a tensor ``()`` beside another."""
    return torch.as_tensor(rate, dtype=like.dtype, device=like.device)


def _complements(rule: Rule, count: int) -> tuple[float, float, float, float]:
    """Return 1 - b1, 1 - b2, 1 - b1^k and 1 - b2^k in double precision: in single they would lose digits."""
    k = count + 1
    return 1 - rule.momentum, 1 - rule.second, 1 - rule.momentum**k, 1 - rule.second**k


@triton.jit
def _read(base_ptr, place, n_parameters, FULL: tl.constexpr):
    """Return numbers of a row, 128 bits at once without a mask: ``(BLOCK_PARAMETERS,)``."""
    if FULL:
        return tl.load(base_ptr + place)
    else:
        return tl.load(base_ptr + place, mask=place < n_parameters, other=0.0)


@triton.jit
def _write(base_ptr, place, values, n_parameters, FULL: tl.constexpr):
    if FULL:
        tl.store(base_ptr + place, values)
    else:
        tl.store(base_ptr + place, values, mask=place < n_parameters)


@triton.jit
def _advance(
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
    first_share,
    second_share,
    fast,
    slow,
    ROWS: tl.constexpr,
    BLOCK_PARAMETERS: tl.constexpr,
    FULL: tl.constexpr,
):
    place = tl.program_id(0) * BLOCK_PARAMETERS + tl.arange(0, BLOCK_PARAMETERS)
    here = _read(theta_ptr, place, n_parameters, FULL)
    slope = _read(g_ptr, place, n_parameters, FULL) + decay * here
    eta = tl.load(rate_ptr)
    if ROWS == 1:
        move = slope
    elif ROWS == 2:
        move = momentum * _read(mean_ptr, place, n_parameters, FULL) + slope
        _write(mean_next_ptr, place, move, n_parameters, FULL)
    else:
        m = momentum * _read(mean_ptr, place, n_parameters, FULL) + first_share * slope
        v = second * _read(square_ptr, place, n_parameters, FULL) + second_share * slope * slope
        _write(mean_next_ptr, place, m, n_parameters, FULL)
        _write(square_next_ptr, place, v, n_parameters, FULL)
        move = m / fast / (tl.sqrt(v / slow) + eps)
    _write(theta_next_ptr, place, here - eta * move, n_parameters, FULL)


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
    first_share,
    second_share,
    fast,
    slow,
    ROWS: tl.constexpr,
    BLOCK_PARAMETERS: tl.constexpr,
):
    """Write the state after a step; the factors are those of `_complements`."""
    # fmt: off
    if (tl.program_id(0) + 1) * BLOCK_PARAMETERS <= n_parameters:
        _advance(theta_ptr, mean_ptr, square_ptr, g_ptr, rate_ptr, theta_next_ptr, mean_next_ptr, square_next_ptr,
                 n_parameters, momentum, second, eps, decay, first_share, second_share, fast, slow,
                 ROWS, BLOCK_PARAMETERS, True)
    else:
        _advance(theta_ptr, mean_ptr, square_ptr, g_ptr, rate_ptr, theta_next_ptr, mean_next_ptr, square_next_ptr,
                 n_parameters, momentum, second, eps, decay, first_share, second_share, fast, slow,
                 ROWS, BLOCK_PARAMETERS, False)
    # fmt: on


@triton.jit
def _retreat(
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
    first_share,
    second_share,
    fast,
    slow,
    ROWS: tl.constexpr,
    BLOCK_PARAMETERS: tl.constexpr,
    FULL: tl.constexpr,
):
    place = tl.program_id(0) * BLOCK_PARAMETERS + tl.arange(0, BLOCK_PARAMETERS)
    up = _read(lam_ptr, place, n_parameters, FULL)
    m = _read(mean_next_ptr, place, n_parameters, FULL)
    down = _read(nu_ptr, place, n_parameters, FULL)
    eta = tl.load(rate_ptr)
    if ROWS == 2:
        move = m
        down -= eta * up
        _write(along_ptr, place, down, n_parameters, FULL)
    else:
        v = _read(square_next_ptr, place, n_parameters, FULL)
        # The gradient is recovered from the two means: storing it would cost another vector per step.
        g = (m - momentum * _read(mean_ptr, place, n_parameters, FULL)) / first_share
        root = tl.sqrt(v / slow)
        inverse = 1.0 / (root + eps)
        move = m / fast * inverse
        pulled = eta * up * inverse
        down -= pulled / fast
        bent = _read(xi_ptr, place, n_parameters, FULL)
        bent += tl.where(root > 0, pulled * move / (2 * slow * tl.where(root > 0, root, 1.0)), 0.0)
        _write(along_ptr, place, first_share * down + 2 * second_share * g * bent, n_parameters, FULL)
        _write(xi_next_ptr, place, second * bent, n_parameters, FULL)
    _write(nu_next_ptr, place, momentum * down, n_parameters, FULL)
    # One partial sum per block, added up afterwards: without atomics the bits are the same every time. Numbers beyond
    # the end are read as zero and add nothing.
    tl.store(dots_ptr + tl.program_id(0), tl.sum(up * move, 0))


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
    first_share,
    second_share,
    fast,
    slow,
    ROWS: tl.constexpr,
    BLOCK_PARAMETERS: tl.constexpr,
):
    """Write the direction, the moments' cotangents nu and xi, and each block's part of <lam, move>."""
    # fmt: off
    if (tl.program_id(0) + 1) * BLOCK_PARAMETERS <= n_parameters:
        _retreat(mean_ptr, mean_next_ptr, square_next_ptr, lam_ptr, nu_ptr, xi_ptr, rate_ptr, along_ptr, nu_next_ptr,
                 xi_next_ptr, dots_ptr, n_parameters, momentum, second, eps, first_share, second_share, fast, slow,
                 ROWS, BLOCK_PARAMETERS, True)
    else:
        _retreat(mean_ptr, mean_next_ptr, square_next_ptr, lam_ptr, nu_ptr, xi_ptr, rate_ptr, along_ptr, nu_next_ptr,
                 xi_next_ptr, dots_ptr, n_parameters, momentum, second, eps, first_share, second_share, fast, slow,
                 ROWS, BLOCK_PARAMETERS, False)
    # fmt: on
