"""The Triton kernels of `soft_cross_entropy`."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ddcore.kernels.choice import FUSION, launch, power_of_two

# Elements of a matrix per program: 8 per thread of two warps.
HELD, WARPS = 512, 2


def backward(c: Tensor, z: Tensor, y: Tensor, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the losses and the cotangents of logits z and labels."""
    n, sizes = len(z), constants(z.shape[1])
    c, z, y = (each.contiguous() for each in (c, z, y))
    loss, z_c, y_c = z.new_empty(n), torch.empty_like(z), torch.empty_like(z)
    grid = (triton.cdiv(n, sizes["BLOCK_MEMBERS"]),)
    launch(backward_kernel, grid, c, z, y, loss, z_c, y_c, n, temperature, on=z, **sizes)
    return loss, z_c, y_c


def tangent(
    c: Tensor, c_t: Tensor, z: Tensor, z_t: Tensor, y: Tensor, y_t: Tensor, temperature: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the losses' tangents, the cotangents of the logits, their tangents, and those of the labels'."""
    n, sizes = len(z), constants(z.shape[1])
    c, c_t, z, z_t, y, y_t = (each.contiguous() for each in (c, c_t, z, z_t, y, y_t))
    loss_t, (z_c, z_ct, y_ct) = z.new_empty(n), (torch.empty_like(z) for _ in range(3))
    grid = (triton.cdiv(n, sizes["BLOCK_MEMBERS"]),)
    launch(tangent_kernel, grid, c, c_t, z, z_t, y, y_t, loss_t, z_c, z_ct, y_ct, n, temperature, on=z, **sizes)
    return loss_t, z_c, z_ct, y_ct


def constants(classes: int) -> dict[str, int]:
    """Return the kernels' constants for this number of classes."""
    block = power_of_two(classes)
    return {
        "N_CLASSES": classes,
        "BLOCK_MEMBERS": max(1, HELD // block),
        "BLOCK_CLASSES": block,
        "num_warps": WARPS,
        **FUSION,
    }


@triton.jit
def _read(base_ptr, rows, n_members, N_CLASSES: tl.constexpr, BLOCK_CLASSES: tl.constexpr):
    """Return rows of a matrix in float32, zero beyond its edge: ``(BLOCK_MEMBERS, BLOCK_CLASSES)``."""
    column = tl.arange(0, BLOCK_CLASSES)
    there = (rows < n_members)[:, None] & (column < N_CLASSES)[None, :]
    return tl.load(base_ptr + rows[:, None] * N_CLASSES + column[None, :], mask=there, other=0.0).to(tl.float32)


@triton.jit
def _write(base_ptr, tile, rows, n_members, N_CLASSES: tl.constexpr, BLOCK_CLASSES: tl.constexpr):
    column = tl.arange(0, BLOCK_CLASSES)
    there = (rows < n_members)[:, None] & (column < N_CLASSES)[None, :]
    tl.store(base_ptr + rows[:, None] * N_CLASSES + column[None, :], tile.to(base_ptr.dtype.element_ty), mask=there)


@triton.jit
def _log_softmax(z, N_CLASSES: tl.constexpr, BLOCK_CLASSES: tl.constexpr):
    """Return log p and p of rows of logits divided by the temperature; both zero beyond the classes."""
    inside = (tl.arange(0, BLOCK_CLASSES) < N_CLASSES)[None, :]
    z = z - tl.max(tl.where(inside, z, float("-inf")), 1)[:, None]
    weights = tl.where(inside, tl.exp(z), 0.0)
    total = tl.sum(weights, 1)[:, None]
    return tl.where(inside, z - tl.log(total), 0.0), weights / total


@triton.jit
def backward_kernel(
    c_ptr,
    z_ptr,
    y_ptr,
    loss_ptr,
    z_c_ptr,
    y_c_ptr,
    n_members,
    temperature,
    N_CLASSES: tl.constexpr,
    BLOCK_MEMBERS: tl.constexpr,
    BLOCK_CLASSES: tl.constexpr,
):
    """Write the losses and the cotangents of logits and labels."""
    rows = tl.program_id(0) * BLOCK_MEMBERS + tl.arange(0, BLOCK_MEMBERS)
    logits = _read(z_ptr, rows, n_members, N_CLASSES, BLOCK_CLASSES)
    log_p, p = _log_softmax(logits / temperature, N_CLASSES, BLOCK_CLASSES)
    target = _read(y_ptr, rows, n_members, N_CLASSES, BLOCK_CLASSES)
    up = tl.load(c_ptr + rows, mask=rows < n_members, other=0.0).to(tl.float32)[:, None]
    tl.store(loss_ptr + rows, (-tl.sum(target * log_p, 1)).to(loss_ptr.dtype.element_ty), mask=rows < n_members)
    excess = tl.sum(target, 1)[:, None] * p - target
    _write(z_c_ptr, up * excess / temperature, rows, n_members, N_CLASSES, BLOCK_CLASSES)
    _write(y_c_ptr, -up * log_p, rows, n_members, N_CLASSES, BLOCK_CLASSES)


@triton.jit
def tangent_kernel(
    c_ptr,
    c_t_ptr,
    z_ptr,
    z_t_ptr,
    y_ptr,
    y_t_ptr,
    loss_t_ptr,
    z_c_ptr,
    z_ct_ptr,
    y_ct_ptr,
    n_members,
    temperature,
    N_CLASSES: tl.constexpr,
    BLOCK_MEMBERS: tl.constexpr,
    BLOCK_CLASSES: tl.constexpr,
):
    """Write the losses' tangents, the cotangents of the logits, their tangents, and those of the labels'."""
    rows = tl.program_id(0) * BLOCK_MEMBERS + tl.arange(0, BLOCK_MEMBERS)
    logits = _read(z_ptr, rows, n_members, N_CLASSES, BLOCK_CLASSES)
    log_p, p = _log_softmax(logits / temperature, N_CLASSES, BLOCK_CLASSES)
    along = _read(z_t_ptr, rows, n_members, N_CLASSES, BLOCK_CLASSES)
    inside = (tl.arange(0, BLOCK_CLASSES) < N_CLASSES)[None, :]
    q = tl.where(inside, (along - tl.sum(p * along, 1)[:, None]) / temperature, 0.0)
    target = _read(y_ptr, rows, n_members, N_CLASSES, BLOCK_CLASSES)
    target_t = _read(y_t_ptr, rows, n_members, N_CLASSES, BLOCK_CLASSES)
    up = tl.load(c_ptr + rows, mask=rows < n_members, other=0.0).to(tl.float32)[:, None]
    up_t = tl.load(c_t_ptr + rows, mask=rows < n_members, other=0.0).to(tl.float32)[:, None]
    total, total_t = tl.sum(target, 1)[:, None], tl.sum(target_t, 1)[:, None]
    excess, excess_t = total * p - target, total_t * p + total * p * q - target_t
    moved = -tl.sum(target_t * log_p + target * q, 1)
    tl.store(loss_t_ptr + rows, moved.to(loss_t_ptr.dtype.element_ty), mask=rows < n_members)
    _write(z_c_ptr, up * excess / temperature, rows, n_members, N_CLASSES, BLOCK_CLASSES)
    _write(z_ct_ptr, (up_t * excess + up * excess_t) / temperature, rows, n_members, N_CLASSES, BLOCK_CLASSES)
    _write(y_ct_ptr, -up_t * log_p - up * q, rows, n_members, N_CLASSES, BLOCK_CLASSES)
