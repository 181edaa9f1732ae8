import pytest

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
