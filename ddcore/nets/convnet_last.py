"""The derivatives of a `ConvNet`'s loss on a CPU: planes in channels-last, as a CPU convolves them without copies.

Planes are ``(N, H, W, C)``. The mathematics is in `ddcore.kernels.first_block_last` and `norm_act_pool_last`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ddcore.kernels import first_block_last, fused, norm_act_pool_last
from ddcore.unroll import WeightedLoss

Named = dict[str, Tensor]


def fits(x: Tensor, padding: Sequence[int]) -> bool:
    """Return whether images ``(N, C, H, W)`` are on a CPU, and the planes of all blocks have even sides."""
    first, halvings = 2 * padding[0] - 2, 2 ** len(padding)
    return x.device.type == "cpu" and not fused(x) and not any((side + first) % halvings for side in x.shape[2:])


def block(number: int, tensors: Named) -> tuple[Tensor, Tensor, Tensor]:
    """Return one block's tensors: the convolution's weight, gain and offset."""
    head = f"blocks.{number}"
    return tensors[f"{head}.convolution.weight"], tensors[f"{head}.gain"], tensors[f"{head}.offset"]


def slope(padding: Sequence[int], parameters: Named, x: Tensor, y: Tensor, loss: WeightedLoss) -> tuple[Named, Tensor]:
    """Return the gradient of a micro-batch's loss by name, and its members' losses ``(N,)``.

    Args:
        padding: of each block's convolution.
        parameters, x, y, loss: as in `ConvNet.slope`.
    """
    below, first = first_block_last.forward(x, *block(0, parameters), padding[0])
    saved = []
    for number in range(1, len(padding)):
        w, gain, offset = block(number, parameters)
        above, planes = norm_act_pool_last.forward(_convolved(below, w), gain, offset)
        saved.append((below, planes))
        below = above
    hidden, w = below.flatten(1), _last(parameters["classifier.weight"], below)
    delta, losses = loss.gradient(F.linear(hidden, w, parameters["classifier.bias"]), y)
    gradient = {"classifier.weight": _first(delta.T @ hidden, below), "classifier.bias": delta.sum(0)}
    up = (delta @ w).view_as(below)
    for number in reversed(range(1, len(padding))):
        w, gain, _ = block(number, parameters)
        below, planes = saved.pop()
        u_c, sums = norm_act_pool_last.backward(up, planes, gain)
        up, w_c = _pulled(u_c, below, w)
        gradient |= _named(number, w_c, sums)
    return gradient | _named(0, *first_block_last.backward(up, first)), losses


def curvature(
    padding: Sequence[int], parameters: tuple[Named, Named], x: Tensor, y: Tensor, loss: WeightedLoss
) -> tuple[Tensor, Named, Tensor, Tensor]:
    """Return derivatives of ``<g, v>``, g being the gradient of a micro-batch's loss.

    Args:
        padding: of each block's convolution.
        parameters: by name, and the directions v.
        x, y, loss: as in `ConvNet.curvature`, which has the method.
    """
    values, directions = parameters
    n = len(x)
    below, first = first_block_last.tangent(x, block(0, values), block(0, directions), padding[0])
    saved = []
    for number in range(1, len(padding)):
        (w, gain, offset), (w_t, gain_t, offset_t) = (block(number, each) for each in parameters)
        both = _convolved(below, w)
        both[n:].add_(_convolved(below[:n], w_t))
        above, planes = norm_act_pool_last.tangent(both, gain, gain_t, offset, offset_t)
        saved.append((below, planes))
        below = above
    w, w_t = (_last(each["classifier.weight"], below) for each in parameters)
    hidden, hidden_t = below.flatten(1).tensor_split(2)
    logits = F.linear(hidden, w, values["classifier.bias"])
    logits_t = F.linear(hidden, w_t, directions["classifier.bias"]).addmm_(hidden_t, w.T)
    slope, delta, delta_t, y_t = loss.tangent(logits, logits_t, y)
    bent = {"classifier.weight": _first(torch.addmm(delta_t.T @ hidden, delta.T, hidden_t), below)}
    bent["classifier.bias"] = delta_t.sum(0)
    pair = torch.cat([torch.addmm(delta_t @ w, delta, w_t), delta @ w]).view_as(below)
    for number in reversed(range(1, len(padding))):
        w, w_t = block(number, values)[0], block(number, directions)[0]
        below, planes = saved.pop()
        both, sums = norm_act_pool_last.tangent_backward(pair, planes)
        pair, w_ct = _pulled(both, below, w)
        pair[:n].add_(_pulled(both[n:], below[:n], w_t, weight=False)[0])
        bent |= _named(number, w_ct, sums)
    w_ct, sums, x_t = first_block_last.tangent_backward(
        pair, first, values["blocks.0.gain"], directions["blocks.0.gain"]
    )
    return slope, bent | _named(0, w_ct, sums), x_t, y_t


def _convolved(x: Tensor, w: Tensor) -> Tensor:
    """Return planes ``(N, H, W, C)`` convolved with weights 3x3."""
    return F.conv2d(x.permute(0, 3, 1, 2), w, padding=1).permute(0, 2, 3, 1).contiguous()


def _pulled(u_c: Tensor, x: Tensor, w: Tensor, weight: bool = True) -> tuple[Tensor, Tensor]:
    """Return the cotangents of a convolution's planes and weights, for that of its result; w's only if asked for."""
    planes, wanted = (each.permute(0, 3, 1, 2) for each in (u_c, x)), [True, weight, False]
    ones, w = [1, 1], w.contiguous(memory_format=torch.channels_last)
    x_c, w_c, _ = torch.ops.aten.convolution_backward(*planes, w, None, ones, ones, ones, False, [0, 0], 1, wanted)
    return x_c.permute(0, 2, 3, 1).contiguous(), w_c


def _last(weight: Tensor, planes: Tensor) -> Tensor:
    """Return the classifier's weights ``(K, C H W)`` in the order of planes in channels-last: ``(K, H W C)``."""
    _, height, width, channels = planes.shape
    return weight.view(-1, channels, height, width).permute(0, 2, 3, 1).flatten(1)


def _first(weight: Tensor, planes: Tensor) -> Tensor:
    """Return the inverse of `_last`."""
    return weight.view(-1, *planes.shape[1:]).permute(0, 3, 1, 2).flatten(1)


def _named(number: int, w_c: Tensor, sums: Tensor) -> Named:
    """Return one block's derivatives by name, the parts of gain and offset ``(2, N, C)`` added up."""
    gain, offset = sums.sum(1)
    head = f"blocks.{number}"
    return {f"{head}.convolution.weight": w_c, f"{head}.gain": gain, f"{head}.offset": offset}
