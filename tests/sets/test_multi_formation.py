import pytest
import torch
from torch.nn import functional as F

from ddcore.errors import UsageError
from ddcore.sets.multi_formation import decoded, encoded, enlarged, slots_of, stored_gradient

SHAPES = [(2, 1, 4, 8), (3, 3, 28, 28), (1, 2, 12, 6)]


def drawn(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=dtype)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("factor", [1, 2])
def test_tiles_are_enlarged_one_by_one(shape, factor):
    x, (height, width) = drawn(*shape), shape[2:]
    found = enlarged(x, factor)
    for place, images in enumerate(found):
        top, left = place // factor * height // factor, place % factor * width // factor
        tile = x[:, :, top : top + height // factor, left : left + width // factor]
        torch.testing.assert_close(images, F.interpolate(tile, (height, width), mode="bilinear"))
    assert found.shape == (factor**2, *shape)


def test_a_tile_by_hand():
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, 2:, :2] = torch.tensor([[0.0, 4.0], [8.0, 4.0]])
    corner = enlarged(x, 2)[2, 0, 0]
    assert corner[0].tolist() == [0, 1, 3, 4] and corner[:, 0].tolist() == [0, 2, 6, 8]
    assert not enlarged(x, 2)[[0, 1, 3]].any()


@pytest.mark.parametrize("shape, factor", [(SHAPES[0], 2), (SHAPES[1], 2), (SHAPES[2], 3)], ids=str)
def test_the_gradient_in_stored_images_is_autograds(shape, factor):
    x, up = drawn(*shape).requires_grad_(), drawn(factor**2, *shape)
    (right,) = torch.autograd.grad(enlarged(x, factor), x, up)
    torch.testing.assert_close(stored_gradient(up, factor), right, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_stored_images_come_back_from_their_members(shape):
    x = drawn(*shape)
    assert torch.allclose(encoded(enlarged(x, 2), 2), x, atol=1e-5)


def test_tiles_begin_as_the_nearest_ones():
    images = drawn(4, 2, 1, 6, 6, dtype=torch.float64)
    x = encoded(images, 2).requires_grad_()
    (slope,) = torch.autograd.grad((enlarged(x, 2) - images).square().sum(), x)
    assert slope.abs().max() < 1e-9


@pytest.mark.parametrize("y", [[0, 0, 1], [1, 0, 1, 0]], ids=str)
def test_members_stand_in_one_order_whoever_decodes_them(y):
    y = torch.tensor(y)
    x = drawn(len(y), 1, 4, 4)
    members, labels = decoded(x, y, 2)
    places = slots_of(labels, 2)
    order = y.argsort(stable=True)
    assert torch.equal(labels[places], y[order].expand(4, -1)) and torch.equal(members[places], enlarged(x[order], 2))
    assert decoded(x, y, 1)[0] is x


def test_classes_in_turn_have_the_slots_of_their_own():
    y = torch.arange(2).repeat(8)
    assert slots_of(y, 2).tolist() == [[0, 2, 1, 3], [4, 6, 5, 7], [8, 10, 9, 11], [12, 14, 13, 15]]
    with pytest.raises(UsageError, match="do not fill stored images of 2x2 tiles"):
        slots_of(y[:-2], 2)


def test_a_factor_that_does_not_divide_is_refused():
    for work in (enlarged, lambda x, factor: encoded(x[None], factor)):
        with pytest.raises(UsageError, match="--factor 3 does not divide images of 4x8"):
            work(torch.zeros(1, 1, 4, 8), 3)
