import hashlib

import pytest
import torch

from ddcore.data.images import digits, fashion_mnist, resized, svhn
from ddcore.data.registry import load_task
from ddcore.errors import DDCoreError, UsageError


def test_idx_files_are_read_through_torchvision(idx_data):
    task = fashion_mnist(idx_data)
    assert task.train.x.shape == (200, 1, 28, 28) and task.train.x.dtype == torch.uint8
    assert len(task.load_test()) == 50 and task.classes[9] == "Ankle boot"
    assert torch.bincount(task.train.y[task.validation]).tolist() == [2] * 10


def test_a_truncated_file_is_named(idx_data):
    path = idx_data / "FashionMNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DDCoreError, match="FashionMNIST/raw"):
        fashion_mnist(idx_data)


def test_labels_of_another_set_are_noticed(idx_data):
    raw = idx_data / "FashionMNIST" / "raw"
    (raw / "train-labels-idx1-ubyte").write_bytes((raw / "t10k-labels-idx1-ubyte").read_bytes())
    with pytest.raises(DDCoreError, match="belong together"):
        fashion_mnist(idx_data)


def test_missing_data_that_cannot_be_downloaded_says_what_to_do(tmp_path, monkeypatch):
    from torchvision import datasets

    def offline(self) -> None:
        raise OSError("no network")

    monkeypatch.setattr(datasets.FashionMNIST, "download", offline)
    with pytest.raises(DDCoreError, match="DDCORE_DATA"):
        fashion_mnist(tmp_path)


def test_digits_are_bundled(tmp_path):
    task = digits(tmp_path)
    assert task.train.x.shape == (1437, 1, 8, 8) and len(task.load_test()) == 360
    assert int(task.train.x.max()) == 255


def test_an_unknown_data_set_lists_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match="fashion_mnist"):
        load_task("imagenet", tmp_path)


@pytest.mark.real_data
def test_real_fashion_mnist_has_its_published_shape_and_constants(real_data):
    task = fashion_mnist(real_data)
    assert task.train.x.shape == (60000, 1, 28, 28)
    assert task.mean[0] == pytest.approx(0.2860, abs=1e-4) and task.std[0] == pytest.approx(0.3530, abs=1e-4)
    assert torch.bincount(task.train.y).tolist() == [6000] * 10


def test_resized_digits_look_like_mnist_and_keep_their_members(tmp_path):
    small = digits(tmp_path)
    large = resized(small, 28)
    assert large.shape == (1, 28, 28) and large.train.x.dtype == torch.uint8
    assert torch.equal(large.validation, small.validation) and torch.equal(large.train.y, small.train.y)
    held = large.load_test()
    assert held.x.shape[1:] == (1, 28, 28) and len(held) == 360
    x = large.inputs(large.train.x)
    assert float(x.mean()) == pytest.approx(0, abs=1e-3) and float(x.std()) == pytest.approx(1, abs=1e-3)
    back = torch.nn.functional.interpolate(large.train.x[:50].float(), (8, 8), mode="bilinear", antialias=True)
    pair = torch.stack([back.flatten(), small.train.x[:50].float().flatten()])
    assert float(torch.corrcoef(pair)[0, 1]) > 0.9


@pytest.mark.parametrize("side", [7, 257, 10**9])
def test_sides_that_no_network_reads_are_refused(toy, side):
    with pytest.raises(UsageError, match=f"images of {side}x{side} pixels"):
        resized(toy, side)


@pytest.fixture
def house_numbers(tmp_path, monkeypatch):
    """A data folder with a tiny SVHN in the publisher's format: 40 + 20 images, the digit 0 labelled 10."""
    from scipy.io import savemat
    from torchvision.datasets import SVHN

    (tmp_path / "SVHN").mkdir()
    made = {}
    for split, n in (("train", 40), ("test", 20)):
        path = tmp_path / "SVHN" / f"{split}_32x32.mat"
        y = torch.arange(n) % 10 + 1
        x = torch.zeros(32, 32, 3, n, dtype=torch.uint8)
        x[0, 1, 2] = y
        savemat(path, {"X": x.numpy(), "y": y[:, None].to(torch.uint8).numpy()})
        made[split] = ["http://nowhere.invalid", path.name, hashlib.md5(path.read_bytes()).hexdigest()]
    monkeypatch.setattr(SVHN, "split_list", made)
    return tmp_path


def test_house_numbers_are_read_through_torchvision(house_numbers):
    task = svhn(house_numbers)
    assert task.train.x.shape == (40, 3, 32, 32) and task.train.x.dtype == torch.uint8
    assert task.train.x[:, 2, 0, 1].tolist() == [y or 10 for y in task.train.y.tolist()]
    assert torch.bincount(task.train.y).tolist() == [4] * 10 and len(task.load_test()) == 20


def test_damaged_or_missing_house_numbers_say_what_to_do(house_numbers, tmp_path, monkeypatch):
    from torchvision.datasets import SVHN

    path = house_numbers / "SVHN" / "train_32x32.mat"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DDCoreError, match=r"train_32x32\.mat is truncated or damaged: delete"):
        svhn(house_numbers)

    def offline(self) -> None:
        raise OSError("no network")

    monkeypatch.setattr(SVHN, "download", offline)
    with pytest.raises(DDCoreError, match=r"SVHN is not in .* DDCORE_DATA"):
        svhn(tmp_path / "nothing")
