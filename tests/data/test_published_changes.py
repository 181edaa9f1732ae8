"""The changes of published evaluations against torch's own sampling and against their ranges."""

import math

import pytest
import torch
from torch.nn import functional as F

from ddcore.data import published_changes as module_face
from ddcore.data import published_kinds
from ddcore.data.published_changes import published_changes

SIDE = 28


def key(seed):
    return torch.Generator().manual_seed(seed)


def images(n, channels=1):
    return torch.randn(n, channels, SIDE, SIDE, generator=key(0))


def numbers(n, seed):
    """The numbers that a batch of one kind draws."""
    draws = key(seed)
    torch.randint(1, (), generator=draws)
    return torch.rand(n, 3, generator=draws)


def test_the_face_has_it():
    assert module_face is published_changes


def sampled(x, theta):
    """What the papers' code does: torch's affine grid and bilinear sampling, zeros outside."""
    return F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)


def test_dsa_scales_as_the_papers_code():
    x, u = images(4), numbers(4, 3)
    theta = torch.zeros(4, 2, 3)
    # x before y there; rows before columns here.
    theta[:, 0, 0], theta[:, 1, 1] = (1 / 1.2 + u[:, k] * (1.2 - 1 / 1.2) for k in (1, 0))
    torch.testing.assert_close(published_changes(x, "dsa", ("scale",), key(3)), sampled(x, theta), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("protocol", ["dsa", "frepo"])
def test_rotations_are_the_papers_and_differ_from_image_to_image(protocol):
    x, u = images(3), numbers(3, 4)
    angle = (2 * u[:, 0] - 1) * math.radians(15)
    theta = torch.zeros(3, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = angle.cos()
    theta[:, 0, 1], theta[:, 1, 0] = angle.sin(), -angle.sin()
    changed = published_changes(x, protocol, ("rotate",), key(4))
    torch.testing.assert_close(changed, sampled(x, theta), rtol=1e-4, atol=1e-4)
    same = published_changes(x[:1].repeat(2, 1, 1, 1), protocol, ("rotate",), key(4))
    assert not torch.allclose(same[0], same[1])


def test_frepo_zooms_and_translates_within_its_ranges():
    x = torch.ones(200, 1, SIDE, SIDE)
    zoomed = published_changes(x, "frepo", ("crop",), key(0)).flatten(1).mean(1)
    # A zoom of 1.25 fills the image, one of 0.8 leaves 0.64 of it.
    assert 0.6 < float(zoomed.min()) < 0.7 and float(zoomed.max()) == pytest.approx(1)
    moved = published_changes(x, "frepo", ("translate",), key(0)).flatten(1).mean(1)
    assert float(moved.min()) > (1 - 0.125) ** 2 - 0.02 and float(moved.min()) < 0.82


def test_cutouts_have_their_sizes():
    x = torch.ones(300, 1, SIDE, SIDE)
    for protocol, size, whole in (("dsa", 14, False), ("frepo", 7, True)):
        gone = (published_changes(x, protocol, ("cutout",), key(0)) == 0).flatten(1).sum(1)
        assert int(gone.max()) == size * size
        assert (int(gone.min()) == size * size) == whole


def test_dsa_crops_shift_up_to_an_eighth_by_whole_pixels():
    place = torch.arange(SIDE * SIDE, dtype=torch.float32).view(1, 1, SIDE, SIDE).repeat(300, 1, 1, 1)
    moved = published_changes(place, "dsa", ("crop",), key(0))
    middle = moved[:, 0, 14, 14].round()
    rows, columns = (middle // SIDE - 14).unique(), (middle % SIDE - 14).unique()
    assert rows.tolist() == columns.tolist() == list(range(-4, 5))


@pytest.mark.parametrize("protocol, low, high", [("dsa", 0.5, 1.5), ("frepo", math.exp(-0.25), math.exp(0.25))])
def test_colours_keep_to_their_contrast(protocol, low, high):
    x = images(300)
    changed = published_changes(x, protocol, ("colour",), key(1))
    factor = changed.std((1, 2, 3)) / x.std((1, 2, 3))
    assert low - 1e-4 <= float(factor.min()) < low + 0.05 and high - 0.05 < float(factor.max()) <= high + 1e-4
    shift = changed.mean((1, 2, 3)) - x.mean((1, 2, 3))
    assert float(shift.abs().max()) <= {"dsa": 0.5, "frepo": 0.25}[protocol] + 1e-4


def test_a_batch_has_one_kind_and_dc_draws_one_for_each_image():
    x = images(30).abs() + 1
    kinds = {bool((published_changes(x, "dsa", ("flip", "cutout"), key(k)) == 0).any()) for k in range(8)}
    assert kinds == {True, False}
    changed = published_changes(x, "dc", ("crop", "scale", "rotate"), key(0))
    assert changed.shape == x.shape and changed.isfinite().all()
    assert published_changes(x, "dc", (), key(0)) is x


def test_dc_shifts_scales_and_rotates_by_hand():
    x = torch.zeros(60, 1, SIDE, SIDE)
    x[:, :, 14, 14] = 1.0
    places = published_changes(x, "dc", ("crop",), key(0)).flatten(1).argmax(1)
    assert (14 - places // SIDE).unique().tolist() == (14 - places % SIDE).unique().tolist() == list(range(-4, 4))
    whole = torch.ones(60, 1, SIDE, SIDE)
    shares = published_changes(whole, "dc", ("scale",), key(0)).flatten(1).mean(1)
    assert (22 / 28) ** 2 - 1e-4 <= float(shares.min()) < 0.75 and float(shares.max()) == 1
    torch.testing.assert_close(published_changes(whole, "dc", ("rotate",), key(0)), whole, rtol=0, atol=1e-4)


def test_digits_are_not_mirrored():
    assert "flip" not in published_kinds("dsa", "mnist") and "flip" in published_kinds("dsa", "fashion_mnist")
    assert "flip" not in published_kinds("frepo", "fashion_mnist") and "flip" in published_kinds("frepo", "cifar10")
    assert published_kinds("dc", "fashion_mnist") == () and published_kinds("dc", "mnist")
    assert "colour" not in published_kinds("rcig", "mnist")
