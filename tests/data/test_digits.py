from ddcore.data.digits import digits


def test_digits_are_bundled(tmp_path):
    task = digits(tmp_path)
    assert task.train.x.shape == (1437, 1, 8, 8) and len(task.load_test()) == 360
    assert int(task.train.x.max()) == 255
