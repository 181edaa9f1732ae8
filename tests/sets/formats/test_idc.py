"""Files of IDC are written here as it writes them; the decoding is compared with a definition written out."""

from dataclasses import replace

import pytest
import torch

from ddcore.errors import DDCoreError
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.formats.exporting import export_set


@pytest.fixture
def stored():
    """Three images of class 2 and two of class 5, from 0 to 1."""
    return torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.tensor([2, 2, 2, 5, 5])


@pytest.mark.parametrize("kind", [tuple, list])
def test_images_from_0_to_1_are_brought_to_the_scale_of_the_data(tmp_path, read, fashion, stored, kind):
    torch.save(kind(stored), tmp_path / "data.pt")
    found = read(tmp_path / "data.pt")
    assert torch.allclose(fashion.scale.pixels(found.small.x), stored[0], atol=1e-6)
    assert torch.equal(found.small.y, stored[1]) and found.small.origin.factor == 1


def test_a_factor_decodes_class_by_class_and_tile_by_tile(tmp_path, read, fashion, stored):
    x, y = stored
    torch.save(stored, tmp_path / "data_20000.pt")
    found = read(tmp_path / "data_20000.pt", factor=2)
    expected = []
    for own in (x[y == 2], x[y == 5]):
        for top, left in ((0, 0), (0, 14), (14, 0), (14, 14)):
            upsample = torch.nn.Upsample(size=28, mode="bilinear")
            expected += [upsample(image[None, :, top : top + 14, left : left + 14]) for image in own]
    assert torch.allclose(fashion.scale.pixels(found.small.x), torch.cat(expected), atol=1e-6)
    assert found.small.y.tolist() == [2] * 12 + [5] * 8 and found.small.origin.factor == 2
    assert "decoded from 5 stored images (multi-formation, class V)" in found.lines[0]


def test_the_factor_is_saved_with_the_set(tmp_path, read, stored):
    torch.save(stored, tmp_path / "data.pt")
    for factor in (1, 2):
        read(tmp_path / "data.pt", factor=factor).small.save(tmp_path / "set")
        assert DistilledSet.load(tmp_path / "set").origin.factor == factor
        assert ('"factor"' in (tmp_path / "set" / "set.json").read_text()) == (factor > 1)


def test_a_factor_that_does_not_divide_and_other_shapes_are_refused(tmp_path, refused, stored):
    x, y = stored
    torch.save(stored, tmp_path / "data.pt")
    assert "--factor 3 does not divide images of 28x28" in refused(tmp_path / "data.pt", factor=3)
    for content in ((x,), (x, y, y), {"data": x}):
        torch.save(content, tmp_path / "data.pt")
        assert "is not a pair of images and class numbers" in refused(tmp_path / "data.pt")
    torch.save((x, y[:4]), tmp_path / "data.pt")
    assert "holds 5 members and 4 labels" in refused(tmp_path / "data.pt")
    torch.save(((255 * x).byte(), y), tmp_path / "data.pt")
    assert "not floats from 0 to 1" in refused(tmp_path / "data.pt")


@pytest.mark.parametrize("factor", [1, 2])
def test_a_set_is_written_as_its_stored_images(tmp_path, read, stored, factor):
    torch.save(stored, tmp_path / "data.pt")
    small = read(tmp_path / "data.pt", factor=factor).small
    export_set(small, tmp_path / "out", "idc")
    x, y = torch.load(tmp_path / "out" / "data.pt", weights_only=True)
    assert torch.allclose(x, stored[0], atol=1e-5) and torch.equal(y, stored[1])
    assert torch.allclose(read(tmp_path / "out" / "data.pt", factor=factor).small.x, small.x, atol=2e-5)


def test_members_that_are_not_those_of_stored_images_are_refused(tmp_path, read, stored):
    torch.save(stored, tmp_path / "data.pt")
    small = read(tmp_path / "data.pt", factor=2).small
    with pytest.raises(DDCoreError, match="not those of whole stored images of 2x2 tiles"):
        export_set(small._at(torch.arange(9)), tmp_path / "some", "idc")
    with pytest.raises(DDCoreError, match="not those of whole stored images of 2x2 tiles"):
        export_set(replace(small, x=torch.rand(small.x.shape)), tmp_path / "others", "idc")
