"""The hot operations: one file an op, each with its plain PyTorch definition."""

from kernels.norm_act_pool import (
    norm_act_pool,
    norm_act_pool_backward,
    norm_act_pool_forward,
    norm_act_pool_tangent,
    norm_act_pool_tangent_backward,
)
from kernels.unrolled_step import Cotangent, Rows, Rule, advance, retreat

__all__ = [
    "Cotangent",
    "Rows",
    "Rule",
    "advance",
    "norm_act_pool",
    "norm_act_pool_backward",
    "norm_act_pool_forward",
    "norm_act_pool_tangent",
    "norm_act_pool_tangent_backward",
    "retreat",
]
