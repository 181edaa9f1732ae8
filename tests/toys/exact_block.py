"""The first block of the ConvNet by torch.func, in the precision of its inputs."""

import torch
from torch.func import jvp, vjp
from torch.nn import functional as F

from ddcore.kernels import norm_act_pool


def exact(x, values, tangents, cotangents, padding):
    """Return y and y', the cotangents of x, w, gain and offset, and the tangents of those, by torch.func."""

    def block(x, w, gain, offset):
        return norm_act_pool(F.conv2d(x, w, padding=padding), gain, offset)

    def pulled(y_c, *given):
        return vjp(block, *given)[1](y_c)

    moves = (torch.zeros_like(x), *tangents)
    return jvp(block, (x, *values), moves), *jvp(pulled, (cotangents[0], x, *values), (cotangents[1], *moves))
