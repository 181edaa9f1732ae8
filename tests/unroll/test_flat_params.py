import pytest
import torch
from torch import nn

from ddcore.errors import UsageError
from ddcore.unroll.flat_params import ALIGNED, Flat, aligned_rows


def net():
    return nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Tanh(), nn.Linear(4, 2))


def test_theta_is_the_parameters_in_their_order():
    made = net()
    flat = Flat(made)
    theta = flat.start()
    assert theta.shape == (26,) == (flat.size,) and not theta.requires_grad
    assert torch.equal(theta, torch.cat([p.detach().flatten() for p in made.parameters()]))
    assert torch.equal(flat.join(flat.split(theta)), theta)


def test_rows_begin_where_vectors_can_be_read():
    rows = aligned_rows(3, 2, 26, like=torch.zeros(1, dtype=torch.float64))
    assert rows.shape == (3, 2, 26) and rows.dtype == torch.float64
    assert rows.stride() == (2 * ALIGNED, ALIGNED, 1) and rows[2, 1].is_contiguous()
    assert aligned_rows(2, 64, like=rows).is_contiguous()


def test_it_answers_as_the_module_does_without_dropout_and_leaves_it_alone():
    made = net()
    flat = Flat(made)
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    before = flat.start()
    torch.testing.assert_close(flat(before, x), made(x))
    other = flat(2 * before, x)
    assert torch.equal(flat.start(), before)
    torch.testing.assert_close(flat.load(2 * before)(x), other)


def test_batch_statistics_are_refused():
    with pytest.raises(UsageError, match=r"batch statistics \(1\).*convnet or resnet-gn"):
        Flat(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)))
