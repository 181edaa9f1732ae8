"""Every format that is both read and written gives a set back as its row says, whatever its members."""

import pytest
import torch

from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.formats.exporting import export_set
from ddcore.sets.formats.registry import EXPORTED, FORMATS, IMPORTED
from ddcore.sets.origin import Origin

BOTH = [name for name in EXPORTED if name in IMPORTED and "images" in FORMATS[name].kinds]
SOFT = [name for name in BOTH if name not in ("dc", "idc")]
PICTURES = ("png", "hf")


def back(read, folder, name):
    files = [each for each in folder.iterdir() if each.suffix in (".pt", ".npz")]
    return read(files[0] if len(files) == 1 else folder, name).small


@pytest.fixture
def real(fashion, pixels, classes):
    """A set of real members, whose classes differ in size."""
    return DistilledSet("images", pixels, classes, Origin.of(fashion, "random", {}, {}), fashion.scale)


@pytest.fixture
def synthetic(fashion, pixels, classes):
    """A set of normalised images with soft labels, whose largest one is that of the class."""
    draws = torch.Generator().manual_seed(0)
    x = fashion.inputs(pixels) + 0.1 * torch.randn(pixels.shape, generator=draws)
    soft = torch.randn(29, 10, generator=draws) + 8 * torch.nn.functional.one_hot(classes, 10)
    return DistilledSet("images", x, classes, Origin.of(fashion, "frepo", {}, {}), fashion.scale, soft)


@pytest.mark.parametrize("name", [name for name in BOTH if name != "datm"])
def test_real_members_come_back_to_the_bit(real, read, tmp_path, name):
    export_set(real, tmp_path / "out", name)
    again = back(read, tmp_path / "out", name)
    assert torch.equal(again.x, real.x) and torch.equal(again.y, real.y) and again.soft is None


@pytest.mark.parametrize("name", BOTH)
def test_synthetic_members_come_back_within_the_rounding(synthetic, read, tmp_path, fashion, name):
    export_set(synthetic, tmp_path / "out", name)
    again = back(read, tmp_path / "out", name)
    if name in PICTURES:
        apart = again.x.float() / 255 - fashion.scale.pixels(synthetic.x)
        assert apart.abs().max() <= 0.501 / 255
    else:
        assert torch.allclose(again.x, synthetic.x, rtol=0, atol=2e-6)
    assert torch.equal(again.y, synthetic.y)
    if name in SOFT:
        assert torch.allclose(again.targets(), synthetic.targets(), atol=2e-6)
