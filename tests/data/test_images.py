from dataclasses import replace

import pytest
import torch

from ddcore.data.digits import digits
from ddcore.data.examples import Summary
from ddcore.data.images import resized
from ddcore.errors import UsageError


def test_resized_digits_look_like_mnist_and_keep_their_members(tmp_path):
    small = digits(tmp_path)
    large = resized(small, 28)
    assert large.shape == (1, 28, 28) and large.train.x.dtype == torch.uint8
    assert torch.equal(large.validation, small.validation) and torch.equal(large.train.y, small.train.y)
    held = large.load_test()
    assert held.x.shape[1:] == (1, 28, 28) and len(held) == 360
    x = large.inputs(large.train.x)
    assert float(x.mean()) == pytest.approx(0, abs=1e-3) and float(x.std()) == pytest.approx(1, abs=1e-3)
    back = torch.nn.functional.interpolate(large.train.x[:50].float(), (8, 8), mode="bilinear", antialias=True)
    pair = torch.stack([back.flatten(), small.train.x[:50].float().flatten()])
    assert float(torch.corrcoef(pair)[0, 1]) > 0.9


@pytest.mark.parametrize("side", [7, 513, 10**9])
def test_sides_that_no_network_reads_are_refused(toy, side):
    with pytest.raises(UsageError, match=f"images of {side}x{side} pixels"):
        resized(toy, side)


def test_a_mapped_set_is_scaled_on_reading_instead(toy):
    levels = torch.zeros(1, 256, dtype=torch.int64)
    large = replace(toy, train=replace(toy.train, summary=Summary("", levels)))
    with pytest.raises(UsageError, match=r"a large set, .*: give --dataset its option side=16"):
        resized(large, 16)
