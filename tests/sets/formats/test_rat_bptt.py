"""Files of RaT-BPTT are written here as it writes them, by h5py alone."""

import sys

import numpy as np
import pytest
import torch

from ddcore.sets.formats import limits

NUMBERS = "0.2861,0.3530"


def test_without_the_package_one_line_says_how_to_get_it(tmp_path, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    assert "pip install 'ddcore[formats]'" in refused(tmp_path / "a.h5")


@pytest.fixture
def h5py():
    return pytest.importorskip("h5py")


@pytest.fixture
def write(h5py, tmp_path):
    """Write arrays to a file."""

    def written(**arrays):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            for name, array in arrays.items():
                file.create_dataset(name, data=array)
        return tmp_path / "a.h5"

    return written


@pytest.fixture
def rows(fashion):
    """Twenty images, two per class, class by class, as rows; and their places."""
    y = fashion.train.y
    chosen = torch.cat([(y == k).nonzero().flatten()[:2] for k in range(10)])
    return ((fashion.train.x[chosen].float() / 255 - 0.2861) / 0.3530).flatten(1).numpy(), chosen


def test_rows_without_labels_stand_class_by_class(write, read, rows, fashion):
    small = read(write(data=rows[0], epoch=300), normalisation=NUMBERS).small
    assert torch.equal(small.x, fashion.train.x[rows[1]]) and torch.equal(small.y, fashion.train.y[rows[1]])


def test_learned_labels_become_probabilities(write, read, rows):
    label = np.eye(10, dtype=np.float32).repeat(2, 0)
    assert read(write(data=rows[0], epoch=1, label=label), normalisation=NUMBERS).small.soft is None
    label[0, 3] = 0.25
    small = read(write(data=rows[0], epoch=1, label=label), normalisation=NUMBERS).small
    assert np.allclose(small.targets()[0].numpy(), [0.8, 0, 0, 0.2, 0, 0, 0, 0, 0, 0], atol=1e-5)


def test_other_contents_are_refused(write, refused, rows, tmp_path):
    assert "holds no array 'data' of its own (it has: grad)" in refused(write(grad=rows[0]))
    assert "rows of 784 numbers" in refused(write(data=rows[0][:, :783]))
    assert "19 images without labels" in refused(write(data=rows[0][:19]), normalisation=NUMBERS)
    assert "not of numbers" in refused(write(data=np.array([b"a", b"b"])))
    (tmp_path / "b.h5").write_bytes((write(data=rows[0])).read_bytes()[:3000])
    assert "is not a readable HDF5 file" in refused(tmp_path / "b.h5")
    assert "rat-bptt has no constants for fashion_mnist" in refused(write(data=rows[0]))


def test_an_array_is_not_read_through_a_link_to_another_file(h5py, refused, write, tmp_path, rows):
    (tmp_path / "numbers").write_bytes(rows[0].tobytes())
    other = write(data=rows[0]).rename(tmp_path / "other.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = h5py.ExternalLink(str(other), "data")
    assert "of its own" in refused(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", (20, 784), "f4", external=[(str(tmp_path / "numbers"), 0, 20 * 784 * 4)])
    assert "of its own" in refused(tmp_path / "a.h5")
    layout = h5py.VirtualLayout((20, 784), "f4")
    layout[:] = h5py.VirtualSource(str(other), "data", (20, 784))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("data", layout)
    assert "of its own" in refused(tmp_path / "a.h5")


def test_an_array_that_unpacks_to_much_is_refused(h5py, refused, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MOST_BYTES", 10**6)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", (10**6, 784), "f4", chunks=(100, 784), compression="gzip")
    assert "more than 1 MB" in refused(tmp_path / "a.h5")
