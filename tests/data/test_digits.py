import torch
from sklearn.datasets import load_digits

from ddcore.data.digits import digits


def test_digits_are_bundled(tmp_path):
    task = digits(tmp_path)
    assert task.train.x.shape == (1437, 1, 8, 8) and len(task.load_test()) == 360
    assert int(task.train.x.max()) == 255


def test_no_test_member_is_a_training_member(tmp_path):
    task = digits(tmp_path)
    parts = (task.train, task.load_test())
    rows = sorted(torch.cat([torch.cat([each.x.flatten(1).long(), each.y[:, None]], 1) for each in parts]).tolist())
    bundle = load_digits()
    whole = torch.cat(
        [torch.from_numpy(bundle.images).flatten(1) * (255 / 16), torch.tensor(bundle.target)[:, None]], 1
    )
    assert rows == sorted(whole.round().long().tolist())
