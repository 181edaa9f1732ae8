import pytest
import torch

from ddcore.data.fashion_mnist import DATA_SET


def test_idx_files_are_read_through_torchvision(idx_data):
    task = DATA_SET.load(idx_data)
    assert task.train.x.shape == (200, 1, 28, 28) and task.train.x.dtype == torch.uint8
    assert len(task.load_test()) == 50 and task.classes[9] == "Ankle boot"
    assert torch.bincount(task.train.y[task.validation]).tolist() == [2] * 10


@pytest.mark.real_data
def test_real_fashion_mnist_has_its_published_shape_and_constants(real_data):
    task = DATA_SET.load(real_data)
    assert task.train.x.shape == (60000, 1, 28, 28)
    assert task.mean[0] == pytest.approx(0.2860, abs=1e-4) and task.std[0] == pytest.approx(0.3530, abs=1e-4)
    assert torch.bincount(task.train.y).tolist() == [6000] * 10
