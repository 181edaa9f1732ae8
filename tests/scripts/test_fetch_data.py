import json

import fetch_data

from ddcore.data.registry import load_task


def test_data_that_are_there_are_named(idx_data, capsys):
    assert fetch_data.main(["--dataset", "fashion_mnist", "--data", str(idx_data)]) == 0
    assert "200 training members" in capsys.readouterr().out


def test_a_damaged_file_is_named_with_the_remedy(idx_data, capsys):
    path = idx_data / "FashionMNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:500])
    assert fetch_data.main(["--dataset", "fashion_mnist", "--data", str(idx_data)]) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "FashionMNIST" in line and "delete" in line


def test_a_broken_file_of_an_own_test_part_is_told_at_once(tmp_path, write_pictures, capsys):
    home = tmp_path / "parted"
    for part, count in (("train", 10), ("test", 9)):
        write_pictures(home / part, {"cat": count, "dog": count})
    assert fetch_data.main(["--dataset", f"images:{home}"]) == 0
    path = home / "test" / "dog" / "003.png"
    path.write_bytes(path.read_bytes()[:-40])
    assert fetch_data.main(["--dataset", f"images:{home}"]) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "test/dog/003.png is broken" in line


def test_digests_of_the_data_are_written_for_a_job(idx_data, tmp_path):
    words = ["--dataset", "fashion_mnist", "--data", str(idx_data), "--record", str(tmp_path / "data.json")]
    assert fetch_data.main(words) == 0
    task = load_task("fashion_mnist", idx_data)
    digests = {"data": task.fingerprint.content, "test": task.load_test().digest}
    assert json.loads((tmp_path / "data.json").read_text()) == digests
