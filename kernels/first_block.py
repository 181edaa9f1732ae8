"""The first block of the field's ConvNet: convolution 3x3, instance norm, ReLU, 2x2 average pool, in one operation.

An image has few channels and the convolution many: its result is the largest tensor of the network, at width 128 it is
167 times as large as a 28x28 image. Here it is never stored on a GPU: every kernel computes it again from the image,
with 9 multiplications per pixel and input channel. With ``u = conv(x, w)`` in place of the x of `norm_act_pool`, whose
head has the closed forms:

    forward    y = norm_act_pool(u)
    backward   w_c = sum over pixels of u_c seen(x),  with u_c from the backward pass of the norm
    tangent    u' = conv(x, w')
    its backward pass:
        w_c' = sum over pixels of u_c' seen(x)
        x_c' = conv_transposed(u_c', w) + conv_transposed(u_c, w')

``seen(x)`` are the pixels of the image that each of the nine weights of an input channel meets. The image has no
tangent, because the inner loop's direction lies in the parameters. x_c' is the derivative of ``<g, v>`` in the image.

On a CPU, in float64, and for images or planes too large for registers, the block consists of PyTorch's convolutions and
of `norm_act_pool`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ddcore.kernels.choice import FUSION, alike, fused, layout_of, power_of_two
from ddcore.kernels.convolution import convolution_backward
from ddcore.kernels.norm_act_pool import (
    EPS,
    norm_act_pool_backward,
    norm_act_pool_forward,
    norm_act_pool_tangent,
    norm_act_pool_tangent_backward,
)
from ddcore.kernels.norm_act_pool import Saved as Planes

# w, gain and offset of a block, each followed by its tangent.
Pairs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
# What the registers of a program hold: no kernel spills up to here. With three channels the backward kernels take two
# to three times as long as cuDNN with the norm's kernels (on an H200).
MOST_CHANNELS, MOST_QUADS = 1, 256
# The channels of a program and its warps: the fastest of those tried on an H200.
LAUNCHES = {"forward": (16, 2), "backward": (16, 2), "tangent": (16, 2), "tangent_backward": (32, 2)}
# The same in channels-last, where a program holds more at a time.
LAST_LAUNCHES = {"forward": (16, 2), "backward": (16, 2), "tangent": (16, 4), "tangent_backward": (32, 4)}
# Channels that a program in channels-last computes one after another before it stores their pixels in one access.
TOGETHER = 4


@dataclass
class Saved:
    """The tensors that the first block saves for its backward pass.

    Attributes:
        x: ``(N, Cin, H, W)``, the images.
        w: ``(C, Cin, 3, 3)``, the convolution's weights.
        w_t: of that shape, their tangents, or None.
        padding: of the convolution.
        stats: ``(2 or 4, N, C)``, see `ddcore.kernels.norm_act_pool.Saved`.
        planes: what the norm saved; None for kernels, which compute the convolution again.
    """

    x: Tensor
    w: Tensor
    w_t: Tensor | None
    padding: int
    stats: Tensor
    planes: Planes | None = None

    def norms(self) -> Planes:
        """Return what the norm saved, computed again where the pass before this one was a fused one."""
        if self.planes is not None:
            return self.planes
        u, u_t = (None if w is None else F.conv2d(self.x, w, padding=self.padding) for w in (self.w, self.w_t))
        assert u is not None
        return Planes(u, u_t, self.stats, True)


def first_block_forward(
    x: Tensor,
    w: Tensor,
    gain: Tensor,
    offset: Tensor,
    padding: int,
    fuse: bool = True,
    layout: torch.memory_format = torch.contiguous_format,
) -> tuple[Tensor, Saved]:
    """Return the block's output and the input of `first_block_backward`, both without autograd.

    Args:
        x: ``(N, Cin, H, W)`` floating point, the images.
        w: ``(C, Cin, 3, 3)`` of x's dtype, the convolution's weights.
        gain, offset: ``(C,)`` of x's dtype, the norm's weight and bias.
        padding: of the convolution, at least 1.
        fuse: whether kernels may run.
        layout: of the output.

    Returns:
        ``(N, C, (H + 2 padding - 2) // 2, (W + 2 padding - 2) // 2)`` of x's dtype.

    Raises:
        ValueError: the shapes, dtypes or devices do not fit.
    """
    _check(x, padding, w=w, gain=gain, offset=offset)
    if _runs(fuse, x, padding):
        from ddcore.kernels import first_block_triton as fast

        x, w = x.contiguous(), w.contiguous()
        y, stats = fast.forward(x, w, gain, offset, padding, EPS, _own_layout(w, layout))
        return y.contiguous(memory_format=layout), Saved(x, w, None, padding, stats)
    x, w = (each.contiguous(memory_format=layout) for each in (x, w))
    y, planes = norm_act_pool_forward(F.conv2d(x, w, padding=padding), gain, offset)
    return y.contiguous(memory_format=layout), Saved(x, w, None, padding, planes.stats, planes)


def first_block_backward(
    y_c: Tensor, saved: Saved, gain: Tensor, offset: Tensor, fuse: bool = True
) -> tuple[Tensor, Tensor]:
    """Return the cotangents of w, gain and offset for that of the output, in parts that the caller sums.

    Args:
        y_c: of the output's shape, its cotangent.
        saved: from `first_block_forward`.
        gain, offset: ``(C,)``, the same as there.
        fuse: whether kernels may run.

    Returns:
        ``(N or 1, C, Cin, 3, 3)``, the parts of the members or the sum of them, and ``(2, N, C)``, the planes' parts of
        gain and offset.

    Raises:
        ValueError: the cotangent does not fit.
    """
    _check_cotangents(saved, y_c=y_c)
    if _runs(fuse, saved.x, saved.padding):
        from ddcore.kernels import first_block_triton as fast

        y_c = y_c.contiguous(memory_format=_own_layout(saved.w, layout_of(y_c)))
        return fast.backward(y_c, saved, gain, offset)
    u_c, sums = norm_act_pool_backward(y_c, saved.norms(), gain, offset)
    return convolution_backward(u_c, saved.x, saved.w, saved.padding, (False, True))[1][None], sums


def first_block_tangent(
    x: Tensor,
    w: Tensor,
    w_t: Tensor,
    gain: Tensor,
    gain_t: Tensor,
    offset: Tensor,
    offset_t: Tensor,
    padding: int,
    fuse: bool = True,
    layout: torch.memory_format = torch.contiguous_format,
) -> tuple[Tensor, Saved]:
    """Return the block's output, its tangent along the parameters, and the input of `first_block_tangent_backward`.

    Args:
        x: ``(N, Cin, H, W)`` floating point, the images; they have no tangent.
        w, w_t: ``(C, Cin, 3, 3)`` of x's dtype, the convolution's weights and their tangents.
        gain, gain_t, offset, offset_t: ``(C,)`` of x's dtype, the norm's weight and bias and their tangents.
        padding: of the convolution, at least 1.
        fuse: whether kernels may run.
        layout: of the output.

    Returns:
        ``(2N, C, h, w)``, first y and then y', of the shape of `first_block_forward`'s.

    Raises:
        ValueError: the shapes, dtypes or devices do not fit.
    """
    _check(x, padding, w=w, gain=gain, offset=offset)
    _check(x, padding, w=w_t, gain=gain_t, offset=offset_t)
    if _runs(fuse, x, padding):
        from ddcore.kernels import first_block_triton as fast

        x, w, w_t = x.contiguous(), w.contiguous(), w_t.contiguous()
        pairs = w, w_t, gain, gain_t, offset, offset_t
        both, stats = fast.tangent(x, pairs, padding, EPS, _own_layout(w, layout))
        return both.contiguous(memory_format=layout), Saved(x, w, w_t, padding, stats)
    x, w, w_t = (each.contiguous(memory_format=layout) for each in (x, w, w_t))
    u, u_t = (F.conv2d(x, each, padding=padding) for each in (w, w_t))
    both, planes = norm_act_pool_tangent(u, u_t, gain, gain_t, offset, offset_t)
    return both.contiguous(memory_format=layout), Saved(x, w, w_t, padding, planes.stats, planes)


def first_block_tangent_backward(
    y_c: Tensor, y_ct: Tensor, saved: Saved, gain: Tensor, gain_t: Tensor, offset: Tensor, fuse: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the tangents of the cotangents of w, gain and offset, in parts, and that of the image's cotangent.

    Args:
        y_c, y_ct: of the output's shape, its cotangent and the tangent of that.
        saved: from `first_block_tangent`.
        gain, gain_t, offset: ``(C,)``, the same as there.
        fuse: whether kernels may run.

    Returns:
        ``(N or 1, C, Cin, 3, 3)`` and ``(2, N, C)``, in parts as in `first_block_backward`, and ``(N, Cin, H, W)``.

    Raises:
        ValueError: a cotangent does not fit.
    """
    _check_cotangents(saved, y_c=y_c, y_ct=y_ct)
    x, w, w_t, padding = saved.x, saved.w, saved.w_t, saved.padding
    assert w_t is not None
    if _runs(fuse, x, padding):
        from ddcore.kernels import first_block_triton as fast

        own = _own_layout(w, layout_of(y_c))
        y_c, y_ct = (each.contiguous(memory_format=own) for each in (y_c, y_ct))
        return fast.tangent_backward(y_c, y_ct, saved, gain, gain_t, offset)
    n = len(x)
    both, sums = norm_act_pool_tangent_backward(y_c, y_ct, saved.norms(), gain, gain_t, offset)
    x_ct, w_ct = convolution_backward(both[:n], x, w, padding)
    across, _ = convolution_backward(both[n:], x, w_t, padding, (True, False))
    return w_ct[None], sums, across.add_(x_ct)


def sizes(
    op: str, x: Tensor, padding: int, layout: torch.memory_format = torch.contiguous_format
) -> tuple[int, dict[str, int]]:
    """Return how many channels a program takes, and the constants of the kernel of `op`, for images like `x`.

    The layout is that of the output and of its cotangents.
    """
    _, channels, height, width = x.shape
    last = layout == torch.channels_last
    group, warps = (LAST_LAUNCHES if last else LAUNCHES)[op]
    block = power_of_two(((height + 2 * padding - 1) // 2) * ((width + 2 * padding - 1) // 2))
    return group, {
        "CHANNELS": channels,
        "H": height,
        "W": width,
        "PADDING": padding,
        "BLOCK_QUADS": block,
        "TOGETHER": TOGETHER if last else 1,
        "num_warps": min(warps, max(1, block // 32)),
        **FUSION,
    }


def _runs(fuse: bool, x: Tensor, padding: int) -> bool:
    """Return whether the kernels run: where those of other ops do, on float32 images that registers hold."""
    small = x.shape[1] <= MOST_CHANNELS and sizes("forward", x, padding)[1]["BLOCK_QUADS"] <= MOST_QUADS
    return fuse and fused(x) and x.dtype == torch.float32 and small


def _own_layout(w: Tensor, layout: torch.memory_format) -> torch.memory_format:
    """Return the layout of what kernels write and read: channels-last for whole groups of channels alone."""
    return torch.contiguous_format if len(w) % TOGETHER else layout


def _check(x: Tensor, padding: int, *, w: Tensor, gain: Tensor, offset: Tensor) -> None:
    if x.ndim != 4 or not len(x) or not x.is_floating_point() or padding < 1 or min(x.shape[2:]) + 2 * padding < 4:
        raise ValueError(
            f"x must be (N, Cin, H, W) with planes of at least 2x2 after padding by {padding}, "
            f"not {tuple(x.shape)} {x.dtype}"
        )
    alike("w", w, x, (len(w), x.shape[1], 3, 3))
    alike("gain", gain, x, (len(w),))
    alike("offset", offset, x, (len(w),))


def _check_cotangents(saved: Saved, **cotangents: Tensor) -> None:
    (n, _, height, width), channels = saved.x.shape, len(saved.w)
    edge = 2 * saved.padding - 2
    for name, tensor in cotangents.items():
        alike(name, tensor, saved.x, (n, channels, (height + edge) // 2, (width + edge) // 2))
