import pytest
import torch
from torch.nn import functional as F

from ddcore.data.mosaics import LEAST, Mosaics, cropped, draw_boxes, padded, tile_size


def key(seed):
    return torch.Generator().manual_seed(seed)


def test_boxes_lie_inside_and_their_areas_are_uniform():
    boxes = draw_boxes((4000, 2), (32, 32), key(0)).view(-1, 4)
    top, left, height, width = boxes.unbind(1)
    assert boxes.dtype == torch.int64 and torch.equal(height, width)
    assert int(top.min()) == int(left.min()) == 0 and int((top + height).max()) == int((left + width).max()) == 32
    area = (height * width).double() / 32**2
    assert int(height.min()) == round((LEAST * 32**2) ** 0.5) and int(height.max()) == 32
    assert float(area.mean()) == pytest.approx((1 + LEAST) / 2, abs=0.02)
    assert float((area < 0.31).double().mean()) == pytest.approx(0.25, abs=0.03)
    large = boxes[height == 24]
    assert len(large[:, 0].unique()) == 9  # every place is drawn


def test_boxes_of_other_proportions_keep_them_and_depend_on_their_key_only():
    boxes = draw_boxes((50,), (40, 20), key(1))
    assert bool(((boxes[:, 2] - 2 * boxes[:, 3]).abs() <= 1).all())
    assert torch.equal(boxes, draw_boxes((50,), (40, 20), key(1)))
    assert not torch.equal(boxes, draw_boxes((50,), (40, 20), key(2)))


def test_a_crop_is_resized_with_antialias_and_rounded():
    image = torch.randint(0, 256, (3, 16, 16), generator=key(3)).to(torch.uint8)
    assert torch.equal(cropped(image, (0, 0, 16, 16), (16, 16)), image)
    part = image[None, :, 2:12, 4:14].float()
    wanted = F.interpolate(part, (4, 4), mode="bilinear", antialias=True)[0].round()
    assert torch.equal(cropped(image, (2, 4, 10, 10), (4, 4)).float(), wanted)
    # Half of a side of stripes is grey with antialias; single pixels would be black or white.
    stripes = torch.zeros(1, 16, 16, dtype=torch.uint8)
    stripes[:, :, ::2] = 200
    assert set(cropped(stripes, (0, 0, 16, 16), (4, 4))[0, :, 1:3].flatten().tolist()) == {100}


def test_a_mosaic_shows_its_crops_row_by_row():
    x = torch.arange(1, 5, dtype=torch.uint8)[:, None, None, None].expand(4, 3, 8, 12).contiguous() * 10
    table = torch.tensor([[[k, 0, 0, 8, 12] for k in range(4)], [[k, 2, 2, 4, 6] for k in (3, 3, 0, 1)]])
    mosaics = Mosaics(table)
    pixels = mosaics.pixels(x)
    assert len(mosaics) == 2 and mosaics.factor == 2 and pixels.shape == (2, 3, 8, 12) and pixels.dtype == torch.uint8
    assert pixels[0, 0, ::4, ::6].tolist() == [[10, 20], [30, 40]]
    assert pixels[1, 2, ::4, ::6].tolist() == [[40, 40], [10, 20]] and len(pixels[1].unique()) == 3
    sources = mosaics.sources(x)
    assert sources.shape == (2, 4, 3, 8, 12) and sources[:, :, 0, 3, 3].tolist() == [[10, 20, 30, 40], [40, 40, 10, 20]]


def test_single_crops_are_their_own_sources():
    x = torch.randint(0, 256, (3, 1, 8, 8), generator=key(4)).to(torch.uint8)
    mosaics = Mosaics(torch.tensor([[[2, 1, 1, 5, 5]], [[0, 0, 0, 8, 8]]]))
    assert torch.equal(mosaics.pixels(x), mosaics.sources(x)[:, 0]) and torch.equal(mosaics.pixels(x)[1], x[0])


def test_small_images_are_padded_with_zeros_in_the_middle():
    wide = padded(torch.ones(1, 1, 2, 3), (4, 4))
    assert wide[0, 0].tolist() == [[0, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]]
    assert torch.equal(padded(wide, (4, 4)), wide) and tile_size((32, 28), 2) == (16, 14)
