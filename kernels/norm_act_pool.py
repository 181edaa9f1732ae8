"""The block of the field's ConvNet after its convolution: instance norm, ReLU, 2x2 average pool.

For one plane (one sample, one channel) of M pixels x, with gain g and offset b of the channel:

    xh = (x - mean(x)) / sqrt(var(x) + eps),   z = g xh + b,   y = pool(relu(z))

``var`` divides by M. An odd last row or column counts in the statistics, not in the pool. This is PyTorch's own
operations without an autograd Function: they have first and second derivatives, in forward and in reverse mode, and
can be compiled. An instance norm is a group norm with one channel a group, which is the fastest way to say it.
"""

from torch import Tensor
from torch.nn import functional as F


def norm_act_pool(x: Tensor, gain: Tensor, offset: Tensor, eps: float = 1e-5) -> Tensor:
    """Normalise every plane, scale it by its channel, cut at zero and halve it.

    Args:
        x: ``(N, C, H, W)`` floating point, H and W at least 2.
        gain: ``(C,)``, the norm's weight, of x's dtype.
        offset: ``(C,)``, the norm's bias, of x's dtype.
        eps: added to the variance; no plane divides by zero.

    Returns:
        ``(N, C, H // 2, W // 2)`` of x's dtype. Twice differentiable in all three tensors.

    Raises:
        ValueError: the shapes or dtypes do not fit.
    """
    if x.ndim != 4 or min(x.shape[2:]) < 2:
        raise ValueError(f"x must be (N, C, H, W) with planes of at least 2x2, not {tuple(x.shape)}")
    for name, tensor in (("gain", gain), ("offset", offset)):
        if tensor.shape != x.shape[1:2] or tensor.dtype != x.dtype:
            wanted = f"({x.shape[1]},) {x.dtype}"
            raise ValueError(f"{name} must be {wanted}, not {tuple(tensor.shape)} {tensor.dtype}")
    return F.avg_pool2d(F.relu(F.group_norm(x, x.shape[1], gain, offset, eps)), 2)
