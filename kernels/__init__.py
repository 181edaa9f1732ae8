"""The hot operations: one file per op, with its plain PyTorch definition and its Triton kernels."""

from ddcore.kernels.choice import fused
from ddcore.kernels.class_moments import class_moments
from ddcore.kernels.convolution import convolution_backward
from ddcore.kernels.first_block import (
    first_block_backward,
    first_block_forward,
    first_block_tangent,
    first_block_tangent_backward,
)
from ddcore.kernels.norm_act_pool import (
    EPS,
    norm_act_pool,
    norm_act_pool_backward,
    norm_act_pool_forward,
    norm_act_pool_tangent,
    norm_act_pool_tangent_backward,
)
from ddcore.kernels.resample import placed, reach_of, resample
from ddcore.kernels.soft_cross_entropy import (
    soft_cross_entropy,
    soft_cross_entropy_backward,
    soft_cross_entropy_tangent,
)
from ddcore.kernels.unrolled_step import Cotangent, Rows, Rule, advance, retreat

__all__ = [
    "EPS",
    "Cotangent",
    "Rows",
    "Rule",
    "advance",
    "class_moments",
    "convolution_backward",
    "first_block_backward",
    "first_block_forward",
    "first_block_tangent",
    "first_block_tangent_backward",
    "fused",
    "norm_act_pool",
    "norm_act_pool_backward",
    "norm_act_pool_forward",
    "norm_act_pool_tangent",
    "norm_act_pool_tangent_backward",
    "placed",
    "reach_of",
    "resample",
    "retreat",
    "soft_cross_entropy",
    "soft_cross_entropy_backward",
    "soft_cross_entropy_tangent",
]
