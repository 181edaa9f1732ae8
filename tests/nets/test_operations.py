import pytest
import torch
from toys import striped

from ddcore.data.images import image_task
from ddcore.nets.operations import kept_bytes, operations


def task_of(side, channels=1):
    data = striped(8, side, channels)
    return image_task("toy", ("low", "high"), data, lambda: data, "made by the tests")


def test_the_operations_of_a_convnet_by_hand():
    # Three convolutions 3x3 of 32 channels on planes of 32, 16 and 8 pixels a side, then 32 * 4 * 4 numbers to 2.
    weights = [(3 * 32, 32), (32 * 32, 16), (32 * 32, 8)]
    wanted = sum(2 * 9 * pairs * side**2 for pairs, side in weights) + 2 * 32 * 4 * 4 * 2
    assert operations("convnet", task_of(32, 3)) == wanted


def test_operations_and_memory_grow_with_the_size():
    small, large = task_of(32), task_of(128)
    assert operations("resnet-s2d", large) == pytest.approx(16 * operations("resnet-s2d", small), rel=0.02)
    # At least one plane of every block, in four bytes a number.
    assert kept_bytes("convnet", large) > 4 * 32 * (128**2 + 64**2)
    assert 10 < kept_bytes("convnet", large) / kept_bytes("convnet", small) < 20


def test_counting_draws_nothing():
    before = torch.get_rng_state()
    operations("convnet", task_of(8))
    kept_bytes("convnet", task_of(8))
    assert torch.equal(torch.get_rng_state(), before)
