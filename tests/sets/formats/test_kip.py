"""Files of KIP are written here as it writes them, by NumPy alone."""

import numpy as np
import pytest
import torch

from ddcore.sets.formats.exporting import export_set


@pytest.fixture
def images(fashion, pixels):
    """NHWC, standardised by the training pixels, as KIP does on their 0-255 scale."""
    mean, std = 255 * fashion.mean[0], 255 * fashion.std[0]
    return ((pixels.permute(0, 2, 3, 1).double() - mean) / std).float().numpy()


@pytest.fixture
def centred(classes):
    return (torch.nn.functional.one_hot(classes, 10) - 0.1).float().numpy()


def test_a_file_of_kip_is_read_and_written(tmp_path, read, images, centred, pixels, classes):
    np.savez(tmp_path / "kip.npz", images=images, labels=centred)
    small = read(tmp_path / "kip.npz").small
    assert torch.equal(small.x, pixels) and torch.equal(small.y, classes) and small.soft is None
    export_set(small, tmp_path / "out", "kip")
    (own,) = (tmp_path / "out").iterdir()
    with np.load(own) as file:
        assert sorted(file) == ["images", "labels"] and file["images"].shape == (29, 28, 28, 1)
        assert np.allclose(file["images"], images, atol=1e-6) and np.allclose(file["labels"], centred, atol=1e-6)


def test_learned_targets_come_back_and_are_probabilities_for_other_losses(tmp_path, read, images, centred, classes):
    learned = centred + 0.05 * np.random.default_rng(0).standard_normal(centred.shape).astype(np.float32)
    np.savez(tmp_path / "kip.npz", images=images, labels=learned)
    small = read(tmp_path / "kip.npz").small
    expected = np.clip(learned.astype(np.float64) + 0.1, 0, None)
    expected /= expected.sum(1, keepdims=True)
    assert torch.equal(small.y, classes) and np.allclose(small.targets().numpy(), expected, atol=1e-5)
    assert np.allclose(small.examples().regression.numpy(), learned, atol=1e-6)
    export_set(small, tmp_path / "out", "kip")
    (own,) = (tmp_path / "out").iterdir()
    with np.load(own) as file:
        assert np.allclose(file["labels"], learned, atol=1e-6)


def test_class_numbers_are_read_and_other_labels_refused(tmp_path, read, refused, images, classes):
    np.savez(tmp_path / "kip.npz", images=images, labels=classes.numpy())
    assert torch.equal(read(tmp_path / "kip.npz").small.y, classes)
    np.savez(tmp_path / "kip.npz", images=images, labels=np.full((29, 10), np.nan))
    assert "not finite" in refused(tmp_path / "kip.npz")
    np.savez(tmp_path / "kip.npz", images=images[:, :, 0], labels=classes.numpy())
    assert "not (N, H, W, C)" in refused(tmp_path / "kip.npz")
    np.savez(tmp_path / "kip.npz", x=images, labels=classes.numpy())
    assert "holds no array 'images'" in refused(tmp_path / "kip.npz")
