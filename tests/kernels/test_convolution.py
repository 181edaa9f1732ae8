import pytest
import torch
from torch.nn.grad import conv2d_input, conv2d_weight

from ddcore.kernels import convolution_backward


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_cotangents_are_those_of_torch_and_either_may_be_left_out(layout, dtype):
    draws = torch.Generator().manual_seed(0)
    x, w, u_c = (
        torch.randn(shape, generator=draws, dtype=dtype).contiguous(memory_format=layout)
        for shape in ((3, 4, 7, 6), (5, 4, 3, 3), (3, 5, 9, 8))
    )
    right = conv2d_input(x.shape, w, u_c, padding=2), conv2d_weight(x, w.shape, u_c, padding=2)
    ours = convolution_backward(u_c, x, w, 2)
    for found, each in zip(ours, right, strict=True):
        torch.testing.assert_close(found, each)
    assert torch.equal(convolution_backward(u_c, x, w, 2, (True, False))[0], ours[0])
    assert torch.equal(convolution_backward(u_c, x, w, 2, (False, True))[1], ours[1])
    assert all(each.is_contiguous(memory_format=layout) for each in ours)
