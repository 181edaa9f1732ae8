import shutil

from ddcore.data.mnist import DATA_SET


def test_idx_files_are_read_through_torchvision(idx_data):
    shutil.copytree(idx_data / "FashionMNIST", idx_data / "MNIST")
    task = DATA_SET.load(idx_data)
    assert (task.name, task.shape, task.classes[9]) == ("mnist", (1, 28, 28), "9") and len(task.train) == 200
