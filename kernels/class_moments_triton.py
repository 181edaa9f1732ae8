"""The Triton kernels of `class_moments`.

The forward pass is three launches over chunks of members. The first sorts the members of each chunk by class and notes
where each class begins. The second adds up each class's members of each chunk, by strips of features, so that every
feature is read once and no program waits for members of other classes. The third adds up the chunks. All sums have a
fixed order.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ddcore.kernels.choice import FUSION, launch, power_of_two

# Members that one program sorts: at least 64 for each class where there are as many, so that sums of chunks are small
# beside the features.
LEAST_CHUNK, LARGEST_CHUNK, PER_CLASS = 1024, 4096, 64
ORDER = {"num_warps": 4, **FUSION}
# Members and features that a program reads at once.
PARTS = {"BLOCK_MEMBERS": 8, "BLOCK_FEATURES": 128, "num_warps": 4, **FUSION}
FINISH = {"BLOCK_FEATURES": 256, "num_warps": 4, **FUSION}
BACKWARD = {"BLOCK_MEMBERS": 8, "BLOCK_FEATURES": 128, "num_warps": 4, **FUSION}


def chunk_of(classes: int) -> int:
    """Return the number of members per chunk."""
    return min(LARGEST_CHUNK, max(LEAST_CHUNK, PER_CLASS * power_of_two(classes)))


def forward(features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return counts, means and mean squares; a member whose label is no class counts in none."""
    features, labels = features.contiguous(), labels.contiguous()
    (n, width), chunk = features.shape, chunk_of(classes)
    chunks = triton.cdiv(n, chunk)
    order, begins = (labels.new_empty(chunks, each, dtype=torch.int32) for each in (chunk, classes + 1))
    parts = features.new_empty(chunks, 2, classes, width, dtype=torch.float32)
    counts = features.new_empty(classes, dtype=torch.float32)
    mean, square = (features.new_empty(classes, width, dtype=torch.float32) for _ in range(2))
    launch(order_kernel, (chunks, classes + 1), labels, order, begins, n, classes, on=features, CHUNK=chunk, **ORDER)
    grid = (classes, triton.cdiv(width, PARTS["BLOCK_FEATURES"]), chunks)
    launch(parts_kernel, grid, features, order, begins, parts, width, classes, on=features, CHUNK=chunk, **PARTS)
    strips = (classes, triton.cdiv(width, FINISH["BLOCK_FEATURES"]))
    launch(forward_kernel, strips, parts, begins, counts, mean, square, width, classes, chunks, on=features, **FINISH)
    return counts, mean, square


def backward(features: Tensor, labels: Tensor, counts: Tensor, mean_c: Tensor, square_c: Tensor) -> Tensor:
    """Return the features' cotangents, given those of means and mean squares."""
    features, labels, counts = (each.contiguous() for each in (features, labels, counts))
    mean_c, square_c = mean_c.contiguous(), square_c.contiguous()
    n, width = features.shape
    features_c = torch.empty_like(features)
    grid = (triton.cdiv(n, BACKWARD["BLOCK_MEMBERS"]), triton.cdiv(width, BACKWARD["BLOCK_FEATURES"]))
    given = (features, labels, counts, mean_c, square_c, features_c, n, width, len(counts))
    launch(backward_kernel, grid, *given, on=features, **BACKWARD)
    return features_c


@triton.jit
def order_kernel(labels_ptr, order_ptr, begins_ptr, n_members, n_classes, CHUNK: tl.constexpr):
    """Write the members of one class in one chunk, in order, behind those of lower labels, and where they begin."""
    part, k = tl.program_id(0), tl.program_id(1)
    row = part * CHUNK + tl.arange(0, CHUNK)
    label = tl.load(labels_ptr + row, mask=row < n_members, other=-1)  # (CHUNK,)
    mine = ((label == k) & (k < n_classes)).to(tl.int32)
    begin = tl.sum((label < k).to(tl.int32), 0)
    tl.store(begins_ptr + part * (n_classes + 1) + k, begin)
    place = part * CHUNK + begin + tl.cumsum(mine, 0) - 1
    tl.store(order_ptr + place, row, mask=mine > 0)


@triton.jit
def parts_kernel(
    features_ptr,
    order_ptr,
    begins_ptr,
    parts_ptr,
    n_features,
    n_classes,
    CHUNK: tl.constexpr,
    BLOCK_MEMBERS: tl.constexpr,
    BLOCK_FEATURES: tl.constexpr,
):
    """Write a strip of the sums of one class's features and of their squares in one chunk."""
    k, part = tl.program_id(0), tl.program_id(2)
    column = tl.program_id(1) * BLOCK_FEATURES + tl.arange(0, BLOCK_FEATURES)
    inside = column < n_features
    begin = tl.load(begins_ptr + part * (n_classes + 1) + k)
    end = tl.load(begins_ptr + part * (n_classes + 1) + k + 1)
    first = tl.zeros([BLOCK_MEMBERS, BLOCK_FEATURES], tl.float32)
    second = tl.zeros([BLOCK_MEMBERS, BLOCK_FEATURES], tl.float32)
    for place in range(begin, end, BLOCK_MEMBERS):
        at = place + tl.arange(0, BLOCK_MEMBERS)
        row = tl.load(order_ptr + part * CHUNK + at, mask=at < end, other=0).to(tl.int64)  # (BLOCK_MEMBERS,)
        there = (at < end)[:, None] & inside[None, :]
        tile = tl.load(features_ptr + row[:, None] * n_features + column[None, :], mask=there, other=0.0)
        tile = tile.to(tl.float32)  # (BLOCK_MEMBERS, BLOCK_FEATURES)
        first += tile
        second += tile * tile
    base_ptr = parts_ptr + (part * 2 * n_classes + k).to(tl.int64) * n_features
    tl.store(base_ptr + column, tl.sum(first, 0), mask=inside)
    tl.store(base_ptr + n_classes * n_features + column, tl.sum(second, 0), mask=inside)


@triton.jit
def forward_kernel(
    parts_ptr,
    begins_ptr,
    counts_ptr,
    mean_ptr,
    square_ptr,
    n_features,
    n_classes,
    n_chunks,
    BLOCK_FEATURES: tl.constexpr,
):
    """Write the count of one class and a strip of its moments from the sums of all chunks."""
    k = tl.program_id(0)
    column = tl.program_id(1) * BLOCK_FEATURES + tl.arange(0, BLOCK_FEATURES)
    inside = column < n_features
    first, second = tl.zeros([BLOCK_FEATURES], tl.float32), tl.zeros([BLOCK_FEATURES], tl.float32)
    count = 0
    for part in range(n_chunks):
        base_ptr = parts_ptr + tl.cast(part * 2 * n_classes + k, tl.int64) * n_features
        first += tl.load(base_ptr + column, mask=inside, other=0.0)  # (BLOCK_FEATURES,)
        second += tl.load(base_ptr + n_classes * n_features + column, mask=inside, other=0.0)
        begin_ptr = begins_ptr + part * (n_classes + 1) + k
        count += tl.load(begin_ptr + 1) - tl.load(begin_ptr)
    share = 1.0 / tl.maximum(tl.cast(count, tl.float32), 1.0)
    tl.store(mean_ptr + k * n_features + column, first * share, mask=inside)
    tl.store(square_ptr + k * n_features + column, second * share, mask=inside)
    if tl.program_id(1) == 0:
        tl.store(counts_ptr + k, tl.cast(count, tl.float32))


@triton.jit
def backward_kernel(
    features_ptr,
    labels_ptr,
    counts_ptr,
    mean_c_ptr,
    square_c_ptr,
    features_c_ptr,
    n_members,
    n_features,
    n_classes,
    BLOCK_MEMBERS: tl.constexpr,
    BLOCK_FEATURES: tl.constexpr,
):
    """Write the cotangents of a strip of some members' features; zero for a member whose label is no class."""
    row = tl.program_id(0) * BLOCK_MEMBERS + tl.arange(0, BLOCK_MEMBERS)
    column = tl.program_id(1) * BLOCK_FEATURES + tl.arange(0, BLOCK_FEATURES)
    there = (row < n_members)[:, None] & (column < n_features)[None, :]
    label = tl.load(labels_ptr + row, mask=row < n_members, other=-1)  # (BLOCK_MEMBERS,)
    counted = (label >= 0) & (label < n_classes)
    share = 1.0 / tl.maximum(tl.load(counts_ptr + label, mask=counted, other=1.0), 1.0)
    of_class = label[:, None] * n_features + column[None, :]
    place = row.to(tl.int64)[:, None] * n_features + column[None, :]
    tile = tl.load(features_ptr + place, mask=there, other=0.0).to(tl.float32)  # (BLOCK_MEMBERS, BLOCK_FEATURES)
    up = tl.load(mean_c_ptr + of_class, mask=there & counted[:, None], other=0.0)
    up += 2.0 * tile * tl.load(square_c_ptr + of_class, mask=there & counted[:, None], other=0.0)
    tl.store(features_c_ptr + place, (up * share[:, None]).to(features_c_ptr.dtype.element_ty), mask=there)
