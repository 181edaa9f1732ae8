import json

import fetch_data

from ddcore.data import picture_task
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


def test_what_is_kept_is_listed_and_removed(pets, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(picture_task, "MAPPED", 1)
    assert fetch_data.main(["--cache"]) == 0
    assert capsys.readouterr().out == f"in {tmp_path}/cache/pixels; --forget NAME removes one of them\n"
    assert fetch_data.main(["--dataset", f"images:{pets}"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2 and "all images are kept as pixels in" in said[0]
    assert fetch_data.main(["--cache"]) == 0
    name, images = capsys.readouterr().out.splitlines()[0].split(": ")
    assert images.startswith("12 images of 12x12 + 48 images of 12x12, ") and f"--forget {name} removes" in said[0]
    assert fetch_data.main(["--forget", name]) == 0 and fetch_data.main(["--forget", name]) == 2
    out, err = capsys.readouterr()
    assert out.startswith(f"removed {name}: ") and err.startswith("error: nothing is kept under the name")
    assert not list((tmp_path / "cache" / "pixels").glob("*.pixels"))
