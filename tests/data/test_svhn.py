import hashlib

import pytest
import torch

from ddcore.data.svhn import svhn
from ddcore.errors import DDCoreError


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


def test_house_numbers_that_may_not_be_read_are_one_line(house_numbers, locked_up):
    with locked_up(house_numbers / "SVHN"), pytest.raises(DDCoreError, match="SVHN cannot be read: Permission denied"):
        svhn(house_numbers)
