import math

import pytest
import torch
from torch.nn import functional as F

from ddcore.data.crop_changes import BOX, CROP, FLIP, ORDER, PARTNER, draw_crop_changes


def key(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=6, side=8, channels=3):
    return torch.randn(n, channels, side, side, generator=key(9))


def by_hand(x, changes, member):
    """The crop of one image of tiles, resized and flipped, by slices and PyTorch's own interpolation."""
    row, (height, width) = changes.table[member], changes.size
    down, along = row[ORDER:].view(2, changes.tiles).tolist()
    tiles = x[member].unflatten(1, (changes.tiles, -1))[:, down].flatten(1, 2)
    tiles = tiles.unflatten(2, (changes.tiles, -1))[:, :, along].flatten(2, 3)
    top, left, high, wide = row[CROP].tolist()
    part = tiles[None, :, top : top + high, left : left + wide]
    part = F.interpolate(part, (height, width), mode="bilinear")[0]
    return part.flip(2) if row[FLIP] else part


@pytest.mark.parametrize(("area", "tiles"), [(1.0, 1), (0.3, 1), (0.5, 2)])
def test_images_are_cropped_flipped_and_mixed_as_drawn(area, tiles):
    x, n = images(24), 24
    changes = draw_crop_changes(n, (8, 8), area, True, tiles, key(1))
    members = torch.arange(n)
    changed = changes.changed(x, x[changes.partners(members)], members)
    assert changed.shape == x.shape and changes.table[:, FLIP].unique().tolist() == [0, 1]
    for member in range(n):
        first, last, left, right = changes.table[member, BOX].tolist()
        wanted = by_hand(x, changes, member).clone()
        other = by_hand(x, changes, int(changes.table[member, PARTNER]))
        wanted[:, first:last, left:right] = other[:, first:last, left:right]
        torch.testing.assert_close(changed[member], wanted, rtol=1e-5, atol=1e-5)
        assert float(changes.shares(members)[member]) == pytest.approx((last - first) * (right - left) / 64)


def test_the_batch_does_not_decide():
    x = images(20)
    changes = draw_crop_changes(20, (8, 8), 0.3, True, 1, key(2))
    members = torch.arange(20)
    whole = changes.changed(x, x[changes.partners(members)], members)
    for some in (members[3:4], members[[19, 0, 7]]):
        assert torch.equal(changes.changed(x[some], x[changes.partners(some)], some), whole[some])
    moved = changes.to("cpu")
    assert torch.equal(moved.table, changes.table) and moved.whole == changes.whole


def test_whole_images_are_not_cropped_and_pixels_stay_the_same():
    changes = draw_crop_changes(2000, (32, 32), 1.0, False, 1, key(3))
    assert changes.whole and changes.table[:, CROP].unique(dim=0).tolist() == [[0, 0, 32, 32]]
    x = images(5, 32)
    few = draw_crop_changes(5, (32, 32), 1.0, False, 1, key(3))
    members = torch.arange(5)
    changed = few.changed(x, x[few.partners(members)], members)
    outside = torch.ones(5, 32, 32, dtype=torch.bool)
    for mask, (first, last, left, right) in zip(outside, few.table[:, BOX].tolist(), strict=True):
        mask[first:last, left:right] = False
    assert torch.equal(changed.permute(0, 2, 3, 1)[outside], x.permute(0, 2, 3, 1)[outside])


def test_crops_have_the_areas_and_ratios_of_the_literature():
    changes = draw_crop_changes(4000, (64, 64), 0.25, True, 1, key(4))
    top, left, high, wide = changes.table[:, CROP].double().unbind(1)
    assert not changes.whole and int((top + high).max()) <= 64 and int((left + wide).max()) <= 64
    area, ratio = high * wide / 64**2, wide / high
    assert float(area.min()) > 0.24 and float(ratio.max()) <= 4 / 3 + 0.05 and float(ratio.min()) >= 3 / 4 - 0.05
    assert float(area[area < 0.6].mean()) == pytest.approx(0.425, abs=0.01)
    small = ratio[area < 0.5].log() / math.log(4 / 3)
    assert float((small < 0).double().mean()) == pytest.approx(0.5, abs=0.05)
    assert float((small.abs() < 0.5).double().mean()) == pytest.approx(0.5, abs=0.05)


def test_boxes_are_uniform_in_area_and_partners_are_a_permutation():
    changes = draw_crop_changes(4000, (32, 32), 1.0, True, 1, key(5))
    first, last, left, right = changes.table[:, BOX].unbind(1)
    assert int(first.min()) >= 0 and int(last.max()) <= 32 and bool((first <= last).all() and (left <= right).all())
    # Boxes that are cut at no edge have twice half of the drawn side.
    assert set(((last - first)[(first > 0) & (last < 32)] % 2).tolist()) == {0}
    assert 0.2 < float(changes.shares(torch.arange(4000)).mean()) < 0.4
    assert torch.equal(changes.table[:, PARTNER].sort().values, torch.arange(4000))
    assert float(changes.table[:, FLIP].double().mean()) == pytest.approx(0.5, abs=0.03)
    assert not draw_crop_changes(100, (8, 8), 1.0, False, 1, key()).table[:, FLIP].any()


def test_long_images_without_a_fitting_crop_show_their_middle():
    changes = draw_crop_changes(50, (12, 40), 1.0, False, 1, key(6))
    assert changes.table[:, CROP].unique(dim=0).tolist() == [[0, 12, 12, 16]]


def test_the_same_key_gives_the_same_changes():
    first, same, other = (draw_crop_changes(9, (8, 8), 0.5, True, 2, key(seed)) for seed in (7, 7, 8))
    assert torch.equal(first.table, same.table) and not torch.equal(first.table, other.table)
