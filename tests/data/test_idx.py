import gzip

import pytest
import torch

from ddcore.data.fashion_mnist import DATA_SET
from ddcore.errors import DDCoreError


def test_a_truncated_file_is_named(idx_data):
    path = idx_data / "FashionMNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DDCoreError, match="FashionMNIST/raw"):
        DATA_SET.load(idx_data)


def test_labels_of_another_set_are_noticed(idx_data):
    raw = idx_data / "FashionMNIST" / "raw"
    (raw / "train-labels-idx1-ubyte").write_bytes((raw / "t10k-labels-idx1-ubyte").read_bytes())
    with pytest.raises(DDCoreError, match="belong together"):
        DATA_SET.load(idx_data)


def test_missing_data_that_cannot_be_downloaded_says_what_to_do(tmp_path, monkeypatch):
    from torchvision import datasets

    def offline(self) -> None:
        raise OSError("no network")

    monkeypatch.setattr(datasets.FashionMNIST, "download", offline)
    with pytest.raises(DDCoreError, match="DDCORE_DATA"):
        DATA_SET.load(tmp_path)


def raw(idx_data):
    return idx_data / "FashionMNIST" / "raw"


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE html><html><body>404</body></html>",
        b"",
        b"\0",
        b"\0\0\x0d\1\0\0\0\1\0\0\0\0",
        b"\0\0\x0a\1\0\0\0\1\0",
    ],
    ids=["html", "empty", "short", "floats", "unknown type"],
)
def test_anything_else_saved_as_idx_is_one_line(idx_data, name, content):
    (raw(idx_data) / name).write_bytes(content)
    with pytest.raises(DDCoreError, match=r"a file under .*raw is .*damaged \(.+\): delete") as caught:
        DATA_SET.load(idx_data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "told"),
    [(torch.arange(200) % 11, "has the label 10, and"), (torch.arange(200) % 9, "has no members with the label 9, so")],
)
def test_labels_that_are_no_classes_are_one_line(idx_data, write_idx, labels, told):
    write_idx(raw(idx_data), "train-labels-idx1-ubyte", labels)
    with pytest.raises(DDCoreError, match=f"the train part in .*raw {told}"):
        DATA_SET.load(idx_data)


@pytest.fixture
def packed(idx_data, monkeypatch):
    """Only the packed files, as they are published."""
    from torchvision import datasets

    for path in raw(idx_data).iterdir():
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    names = [(name, None) for name, _ in datasets.FashionMNIST.resources]
    monkeypatch.setattr(datasets.FashionMNIST, "resources", names)
    return idx_data


def test_packed_files_are_unpacked(packed):
    assert DATA_SET.load(packed).train.x.shape == (200, 1, 28, 28)


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        (0o555, r"ubyte cannot be read or written \(Permission denied\): give --data a folder that can be.*gunzip -k"),
        (0, "raw cannot be read: Permission denied"),
    ],
)
def test_packed_files_in_a_folder_that_cannot_be_written_are_one_line(packed, locked_up, mode, told):
    with locked_up(raw(packed), mode=mode), pytest.raises(DDCoreError, match=told):
        DATA_SET.load(packed)
