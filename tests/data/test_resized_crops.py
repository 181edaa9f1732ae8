import pytest
import torch
from torch.nn import functional as F

from ddcore.data.resized_crops import RATIO, Box, random_box, viewed
from ddcore.draws import generator

BOXES = [Box(2, 1, 5, 7), Box(0, 0, 9, 12), Box(3, 4, 6, 2, True, 2, 3), Box(8, 11, 1, 1, False, 0, 5)]


def by_interpolation(x, box):
    """The view of images through a box, by PyTorch's own operations."""
    part = x[:, :, box.top : box.top + box.height, box.left : box.left + box.width]
    view = F.interpolate(part, x.shape[2:], mode="bilinear")
    view = view.flip(3) if box.flip else view
    return torch.roll(view, (box.down, box.right), (2, 3))


def test_each_batch_is_seen_through_its_own_box():
    draws = torch.Generator().manual_seed(0)
    counts = [2, 1, 3, 2]
    x = torch.randn(8, 3, 9, 12, generator=draws, requires_grad=True)
    up = torch.randn(8, 3, 9, 12, generator=draws)
    views = viewed(x, BOXES, counts)
    right = torch.cat([by_interpolation(part, box) for part, box in zip(x.split(counts), BOXES, strict=True)])
    torch.testing.assert_close(views, right, rtol=1e-5, atol=1e-5)
    slopes = [torch.autograd.grad((each * up).sum(), x)[0] for each in (views, right)]
    torch.testing.assert_close(*slopes, rtol=1e-5, atol=1e-5)


def test_the_whole_image_is_seen_with_the_same_bits():
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(viewed(x, [Box(0, 0, 8, 8)], [2]), x)


@pytest.mark.parametrize("size", [(32, 32), (28, 40)])
def test_boxes_have_the_areas_and_ratios_that_were_asked_for(size):
    drawn = [random_box(size, 0.08, True, 4, generator("box", k)) for k in range(400)]
    shares = [box.height * box.width / (size[0] * size[1]) for box in drawn]
    ratios = [box.width / box.height for box in drawn]
    assert 0.07 < min(shares) < 0.13 and 0.9 < max(shares) <= 1
    assert RATIO[0] * 0.9 < min(ratios) < 0.8 and 1.25 < max(ratios) < RATIO[1] * 1.1
    assert all(0 <= box.top <= size[0] - box.height and 0 <= box.left <= size[1] - box.width for box in drawn)
    assert {box.down for box in drawn} == {box.right for box in drawn} == set(range(5))
    assert 150 < sum(box.flip for box in drawn) < 250
    assert drawn == [random_box(size, 0.08, True, 4, generator("box", k)) for k in range(400)]


def test_without_crop_and_flip_a_view_is_only_rolled():
    drawn = [random_box((20, 30), 1.0, False, 2, generator("box", k)) for k in range(20)]
    assert {(box.top, box.left, box.height, box.width, box.flip) for box in drawn} == {(0, 0, 20, 30, False)}
    assert len({(box.down, box.right) for box in drawn}) > 3


def test_an_image_that_no_box_fits_gives_the_largest_central_one():
    # Of a strip of 2x200 pixels no part of half its area has the ratio of a box.
    assert random_box((2, 200), 0.5, False, 0, generator("box")) == Box(0, 98, 2, 3)
