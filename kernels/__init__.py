"""The hot operations: one file an op, each with its plain PyTorch definition."""

from kernels.norm_act_pool import norm_act_pool

__all__ = ["norm_act_pool"]
