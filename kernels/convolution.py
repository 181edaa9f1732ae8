"""The backward pass of a convolution, in the layout that its tensors have."""

import torch
from torch import Tensor


def convolution_backward(
    u_c: Tensor, x: Tensor, w: Tensor, padding: int, wanted: tuple[bool, bool] = (True, True)
) -> tuple[Tensor, Tensor]:
    """Return the cotangents of the input and the weights of ``conv2d(x, w, padding=padding)``.

    ``torch.nn.grad`` passes a stand-in for x or w that is not in channels-last, and cuDNN's backward pass brings the
    cotangent into the layout of x: so that one would be converted there and back.

    Args:
        u_c: ``(N, C, H', W')``, the cotangent of the convolution's result.
        x: ``(N, Cin, H, W)``; read for the weights' cotangent only.
        w: ``(C, Cin, K, K)``; read for the input's cotangent only.
        padding: of the convolution.
        wanted: which of the two are computed; another is an undefined tensor, which is None.

    Returns:
        Tensors of the shapes of x and w.
    """
    ones, none = [1, 1], [0, 0]
    x_c, w_c, _ = torch.ops.aten.convolution_backward(
        u_c, x, w, None, ones, [padding, padding], ones, False, none, 1, [*wanted, False]
    )
    return x_c, w_c
