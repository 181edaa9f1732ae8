"""Files of DC are written here as DC writes them, by torch alone."""

import numpy as np
import pytest
import torch

from ddcore.sets.formats.dc import recognises
from ddcore.sets.formats.exporting import export_set


@pytest.fixture
def file(tmp_path, as_dc, classes):
    """Two experiments and NumPy's numbers beside them, as real files hold them."""
    path = tmp_path / "res_DSA_FashionMNIST_ConvNet_3ipc.pt"
    accuracies = {"ConvNet": [np.float64(0.5), np.float64(0.25)], "AlexNet": []}
    torch.save({"data": [[as_dc.flip(0), classes.flip(0)], [as_dc, classes]], "accs_all_exps": accuracies}, path)
    return path


def test_the_last_set_of_a_file_is_read(file, read, pixels, classes):
    assert recognises(file) and not recognises(file.parent)
    found = read(file)
    assert torch.equal(found.small.x, pixels) and torch.equal(found.small.y, classes)
    assert (
        found.small.method == "dsa" and found.small.labels == "hard" and "the last of 2 sets in the file" in found.lines
    )
    assert found.lines[0] == "29 members of 10 classes, 2 to 4 per class; hard labels"


def test_our_file_has_the_layout_of_dc(file, read, tmp_path, as_dc, classes):
    export_set(read(file).small, tmp_path / "out", "dc")
    (own,) = (tmp_path / "out").iterdir()
    content = torch.load(own, weights_only=True)
    assert own.name == "res_DSA_FashionMNIST_ConvNet_4ipc.pt" and [*content] == ["data", "accs_all_exps"]
    images, labels = content["data"][-1]
    assert torch.equal(images, as_dc) and torch.equal(labels, classes) and labels.dtype == torch.int64


def test_images_that_are_no_pixels_come_back_within_the_rounding_of_float32(tmp_path, read, as_dc, classes):
    x = as_dc + 0.1 * torch.randn(as_dc.shape, generator=torch.Generator().manual_seed(0))
    torch.save({"data": [[x, classes]], "accs_all_exps": {}}, tmp_path / "res_DC_FashionMNIST_ConvNet_3ipc.pt")
    small = read(tmp_path / "res_DC_FashionMNIST_ConvNet_3ipc.pt").small
    assert small.x.dtype == torch.float32 and small.scale.mean != (0.2861,)
    export_set(small, tmp_path / "out", "dc")
    images, _ = torch.load(next((tmp_path / "out").iterdir()), weights_only=True)["data"][-1]
    assert torch.allclose(images, x, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ([1, 2], "holds no dict with 'data'"),
        ({"images": 1}, "holds no dict with 'data'"),
        ({"data": []}, "'data' in"),
        ({"data": [[torch.zeros(1, 1, 28, 28)]]}, "not a pair of images and labels"),
        ({"data": [["a", torch.zeros(1)]]}, "is not a tensor but str"),
        ({"data": [[torch.zeros(1, 1, 28, 28), torch.tensor([0.5])]]}, "are not whole numbers"),
    ],
)
def test_another_content_is_refused(tmp_path, refused, content, line):
    torch.save(content, tmp_path / "res_DC_FashionMNIST_ConvNet_1ipc.pt")
    assert line in refused(tmp_path / "res_DC_FashionMNIST_ConvNet_1ipc.pt")
