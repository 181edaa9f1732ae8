"""The Triton kernels of `characteristic`.

Products with frequencies are matrix products. They are computed in TF32 where PyTorch computes matrix products so, and
otherwise as three TF32 products, which come within rounding of float32. Cosine and sine are polynomials after a
reduction to an eighth of a turn, because the accurate ones of CUDA keep a table on the stack.
"""

from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from ddcore.kernels.choice import FUSION, launch

# Members, frequencies and features of a tile; parts that the members of a class are summed in.
FORWARD = {
    "BLOCK_MEMBERS": 64,
    "BLOCK_FREQUENCIES": 64,
    "BLOCK_FEATURES": 16,
    "num_warps": 8,
    "num_stages": 3,
    **FUSION,
}
PARTS = 4
FINISH = {"BLOCK_FREQUENCIES": 256, "num_warps": 4, **FUSION}
# BLOCK_STRIP: features whose cotangents a program computes; for each strip the products are computed again.
BACKWARD = {
    "BLOCK_MEMBERS": 16,
    "BLOCK_FREQUENCIES": 32,
    "BLOCK_FEATURES": 32,
    "BLOCK_STRIP": 128,
    "num_warps": 4,
    "num_stages": 2,
    **FUSION,
}


def precision() -> dict[str, int]:
    """Return the constant that says whether products are computed in TF32 alone."""
    return {"TF32": int(torch.backends.cuda.matmul.allow_tf32)}


def forward(features: Tensor, frequencies: Tensor, counts: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return the real and the imaginary part, class by class."""
    features, frequencies = features.float().contiguous(), frequencies.float().contiguous()
    (f, width), classes = frequencies.shape, len(counts)
    begins = _begins(counts, features.device)
    parts = features.new_empty(classes, PARTS, 2, f)
    real, imaginary = features.new_empty(classes, f), features.new_empty(classes, f)
    grid = (triton.cdiv(f, FORWARD["BLOCK_FREQUENCIES"]), PARTS, classes)
    given = (features, frequencies, begins, parts, f, width)
    launch(parts_kernel, grid, *given, on=features, PARTS=PARTS, **precision(), **FORWARD)
    strips = (triton.cdiv(f, FINISH["BLOCK_FREQUENCIES"]), classes)
    launch(forward_kernel, strips, parts, begins, real, imaginary, f, on=features, PARTS=PARTS, **FINISH)
    return real, imaginary


def backward(
    features: Tensor, frequencies: Tensor, counts: tuple[int, ...], real_c: Tensor, imaginary_c: Tensor
) -> Tensor:
    """Return the features' cotangents, given those of the two parts."""
    kind, features, frequencies = features.dtype, features.float().contiguous(), frequencies.float().contiguous()
    real_c, imaginary_c = real_c.contiguous(), imaginary_c.contiguous()
    f, width = frequencies.shape
    features_c = torch.empty_like(features)
    strips, blocks = (triton.cdiv(width, BACKWARD["BLOCK_STRIP"]), triton.cdiv(max(counts), BACKWARD["BLOCK_MEMBERS"]))
    given = (features, frequencies, _begins(counts, features.device), real_c, imaginary_c, features_c, f, width)
    launch(backward_kernel, (strips, blocks, len(counts)), *given, on=features, **precision(), **BACKWARD)
    return features_c.to(kind)


@lru_cache(maxsize=64)
def _begins(counts: tuple[int, ...], device: torch.device) -> Tensor:
    """Return where each class begins, and the last one ends: ``(K + 1,)`` int32, which is kept: a copy takes time."""
    return torch.tensor([0, *counts]).cumsum(0).to(device, torch.int32)


@triton.jit
def _products(
    features_ptr,
    frequencies_ptr,
    n_members,
    n_frequencies,
    n_features,
    TF32: tl.constexpr,
    BLOCK_MEMBERS: tl.constexpr,
    BLOCK_FREQUENCIES: tl.constexpr,
    BLOCK_FEATURES: tl.constexpr,
):
    """Return the products of the first members and frequencies behind two addresses: a tile; 0 where there are none."""
    total = tl.zeros([BLOCK_MEMBERS, BLOCK_FREQUENCIES], tl.float32)
    row, frequency = tl.arange(0, BLOCK_MEMBERS)[:, None], tl.arange(0, BLOCK_FREQUENCIES)[None, :]
    for first in range(0, n_features, BLOCK_FEATURES):
        column = first + tl.arange(0, BLOCK_FEATURES)
        across, down = column[None, :], column[:, None]
        there = (row < n_members) & (across < n_features)
        left = tl.load(features_ptr + row * n_features + across, mask=there, other=0.0)
        there = (frequency < n_frequencies) & (down < n_features)
        right = tl.load(frequencies_ptr + frequency * n_features + down, mask=there, other=0.0)
        total = _multiplied(left, right, total, TF32)  # (BLOCK_MEMBERS, BLOCK_FREQUENCIES)
    return total


@triton.jit
def _multiplied(left, right, total, TF32: tl.constexpr):
    """Return ``total + left @ right``."""
    if TF32:
        return tl.dot(left, right, total, input_precision="tf32")
    else:
        return tl.dot(left, right, total, input_precision="tf32x3")


@triton.jit
def _waves(angle):
    """Return cosine and sine of angles of some hundred turns at most, to the rounding of float32.

    With q the nearest number of quarter turns, what is left of the angle, r, is at most an eighth of a turn. Half pi
    is taken off in three parts, of which the first two have few bits, so that their multiples are exact. There the
    series end with errors below 3e-8 (cosine, r**10 / 10!) and 2e-9 (sine, r**11 / 11!).
    """
    q = tl.floor(angle * 0.6366197723675814 + 0.5)
    r = angle - q * 1.5703125
    r = r - q * 4.837512969970703e-4
    r = r - q * 7.549789954891882e-8
    z = r * r
    sine = r * (1.0 + z * (-1.0 / 6 + z * (1.0 / 120 + z * (-1.0 / 5040 + z * (1.0 / 362880)))))
    cosine = 1.0 + z * (-0.5 + z * (1.0 / 24 + z * (-1.0 / 720 + z * (1.0 / 40320))))
    quarter = q.to(tl.int32) & 3
    odd = (quarter & 1) == 1
    along = tl.where(odd, sine, cosine)
    across = tl.where(odd, cosine, sine)
    along = tl.where((quarter == 1) | (quarter == 2), -along, along)
    across = tl.where(quarter >= 2, -across, across)
    return along, across


@triton.jit
def parts_kernel(
    features_ptr,
    frequencies_ptr,
    begins_ptr,
    parts_ptr,
    n_frequencies,
    n_features,
    PARTS: tl.constexpr,
    TF32: tl.constexpr,
    BLOCK_MEMBERS: tl.constexpr,
    BLOCK_FREQUENCIES: tl.constexpr,
    BLOCK_FEATURES: tl.constexpr,
):
    """Write the sums of cosines and sines of every ``PARTS``-th block of a class's members at some frequencies."""
    part, k, low = tl.program_id(1), tl.program_id(2), tl.program_id(0) * BLOCK_FREQUENCIES
    frequency, member = low + tl.arange(0, BLOCK_FREQUENCIES), tl.arange(0, BLOCK_MEMBERS)
    begin, end = tl.load(begins_ptr + k), tl.load(begins_ptr + k + 1)
    real, imaginary = tl.zeros([BLOCK_FREQUENCIES], tl.float32), tl.zeros([BLOCK_FREQUENCIES], tl.float32)
    for first in range(begin + part * BLOCK_MEMBERS, end, PARTS * BLOCK_MEMBERS):
        products = _products(
            features_ptr + tl.cast(first, tl.int64) * n_features,
            frequencies_ptr + tl.cast(low, tl.int64) * n_features,
            end - first,
            n_frequencies - low,
            n_features,
            TF32,
            BLOCK_MEMBERS,
            BLOCK_FREQUENCIES,
            BLOCK_FEATURES,
        )
        along, across = _waves(products)
        there = (first + member < end)[:, None]
        real += tl.sum(tl.where(there, along, 0.0), 0)
        imaginary += tl.sum(tl.where(there, across, 0.0), 0)
    place_ptr = parts_ptr + (k * PARTS + part).to(tl.int64) * 2 * n_frequencies + frequency
    tl.store(place_ptr, real, mask=frequency < n_frequencies)
    tl.store(place_ptr + n_frequencies, imaginary, mask=frequency < n_frequencies)


@triton.jit
def forward_kernel(
    parts_ptr,
    begins_ptr,
    real_ptr,
    imaginary_ptr,
    n_frequencies,
    PARTS: tl.constexpr,
    BLOCK_FREQUENCIES: tl.constexpr,
):
    """Write a strip of the characteristic function of one class from the sums of its parts."""
    k = tl.program_id(1)
    frequency = tl.program_id(0) * BLOCK_FREQUENCIES + tl.arange(0, BLOCK_FREQUENCIES)
    inside = frequency < n_frequencies
    count = tl.load(begins_ptr + k + 1) - tl.load(begins_ptr + k)
    share = 1.0 / tl.maximum(tl.cast(count, tl.float32), 1.0)
    real, imaginary = tl.zeros([BLOCK_FREQUENCIES], tl.float32), tl.zeros([BLOCK_FREQUENCIES], tl.float32)
    for part in tl.static_range(PARTS):
        place_ptr = parts_ptr + (k * PARTS + part).to(tl.int64) * 2 * n_frequencies + frequency
        real += tl.load(place_ptr, mask=inside, other=0.0)  # (BLOCK_FREQUENCIES,)
        imaginary += tl.load(place_ptr + n_frequencies, mask=inside, other=0.0)
    place = k.to(tl.int64) * n_frequencies + frequency
    tl.store(real_ptr + place, real * share, mask=inside)
    tl.store(imaginary_ptr + place, imaginary * share, mask=inside)


@triton.jit
def backward_kernel(
    features_ptr,
    frequencies_ptr,
    begins_ptr,
    real_c_ptr,
    imaginary_c_ptr,
    features_c_ptr,
    n_frequencies,
    n_features,
    TF32: tl.constexpr,
    BLOCK_MEMBERS: tl.constexpr,
    BLOCK_FREQUENCIES: tl.constexpr,
    BLOCK_FEATURES: tl.constexpr,
    BLOCK_STRIP: tl.constexpr,
):
    """Write the cotangents of a strip of some members' features; the members are of one class."""
    k = tl.program_id(2)
    begin, end = tl.load(begins_ptr + k), tl.load(begins_ptr + k + 1)
    first = begin + tl.program_id(1) * BLOCK_MEMBERS
    if first < end:
        row, strip = tl.arange(0, BLOCK_MEMBERS), tl.program_id(0) * BLOCK_STRIP + tl.arange(0, BLOCK_STRIP)
        inside = (strip < n_features)[None, :]
        left_ptr = features_ptr + tl.cast(first, tl.int64) * n_features
        total = tl.zeros([BLOCK_MEMBERS, BLOCK_STRIP], tl.float32)
        for low in range(0, n_frequencies, BLOCK_FREQUENCIES):
            right_ptr = frequencies_ptr + tl.cast(low, tl.int64) * n_features
            products = _products(
                left_ptr,
                right_ptr,
                end - first,
                n_frequencies - low,
                n_features,
                TF32,
                BLOCK_MEMBERS,
                BLOCK_FREQUENCIES,
                BLOCK_FEATURES,
            )
            along, across = _waves(products)
            frequency = tl.arange(0, BLOCK_FREQUENCIES)
            there = frequency < n_frequencies - low
            place = k.to(tl.int64) * n_frequencies + low
            real_c = tl.load(real_c_ptr + place + frequency, mask=there, other=0.0)  # (BLOCK_FREQUENCIES,)
            imaginary_c = tl.load(imaginary_c_ptr + place + frequency, mask=there, other=0.0)
            weight = along * imaginary_c[None, :] - across * real_c[None, :]
            of_strip = frequency[:, None] * n_features + strip[None, :]
            waves = tl.load(right_ptr + of_strip, mask=there[:, None] & inside, other=0.0)
            total = _multiplied(weight, waves, total, TF32)  # (BLOCK_MEMBERS, BLOCK_STRIP)
        share = 1.0 / tl.cast(end - begin, tl.float32)
        place_ptr = features_c_ptr + tl.cast(first, tl.int64) * n_features + row[:, None] * n_features + strip[None, :]
        tl.store(place_ptr, total * share, mask=(first + row < end)[:, None] & inside)
