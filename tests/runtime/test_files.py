import errno
import json
import os
from pathlib import Path

import pytest
import torch

from ddcore.errors import DDCoreError, UsageError
from ddcore.runtime import files
from ddcore.runtime.files import (
    check_links,
    check_space,
    file_name,
    file_names,
    inside,
    load_tensors,
    read_json,
    save_tensors,
    write_atomic,
    write_json,
)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "set.json"
    write_json(path, {"old": 1})

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(DDCoreError, match="No space left"):
        write_atomic(path, b"new")
    assert json.loads(path.read_text()) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["set.json"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DDCoreError, match="cannot write"):
        write_json(tmp_path / "file" / "inside.json", {})


def test_tensors_come_back_with_their_notes(tmp_path):
    save_tensors(tmp_path / "a.safetensors", {"x": torch.arange(6).view(2, 3).T}, {"net": "mlp"})
    tensors, notes = load_tensors(tmp_path / "a.safetensors")
    assert tensors["x"].tolist() == [[0, 3], [1, 4], [2, 5]] and notes == {"net": "mlp"}


@pytest.mark.parametrize("content", [b"", b"\x80\x04junk", b"\xff" * 100])
def test_a_foreign_tensor_file_is_refused(tmp_path, content):
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(DDCoreError, match="not a readable safetensors file"):
        load_tensors(tmp_path / "a.safetensors")


def test_a_truncated_tensor_file_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"x": torch.zeros(100)})
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DDCoreError, match="truncated"):
        load_tensors(path)


def test_a_full_disk_is_told_with_numbers_and_what_helps(tmp_path):
    free = check_space(tmp_path / "not" / "there")
    assert free > 0
    with pytest.raises(DDCoreError, match=r"^needs about \d+\.1 GB of disk, .* are free in .*: fewer experts$"):
        check_space(tmp_path, 10**18, "fewer experts")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_is_read_whatever_the_locale_says(tmp_path, encoding):
    (tmp_path / "a.json").write_bytes('{"class": "schön"}'.encode(encoding))
    assert read_json(tmp_path / "a.json") == {"class": "schön"}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"[" * 200_000, "nested too deep"),
        (b"[" * 101 + b"]" * 101, "nested too deep"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "nested too deep"),
        (b'{"n": ' + b"9" * 5000 + b"}", "a number has 5,000 digits"),
        (b'{"n": ' + b"9" * 301 + b"}", "a number has 301 digits"),
        (b'{"n": Infinity}', "Infinity is not a finite number"),
        (b'{"n": NaN}', "NaN is not a finite number"),
        (b'{"n": 1e999}', "1e999 is not a finite number"),
        (b'{"class": "\\ud800"}', "half a character"),
        (b'{"\\udcff": 1}', "half a character"),
        (b'{"class": "\xff\xfe"}', "it is not JSON"),
        (b'"\xed\xa0\x80"', "half a character"),
        (b"", "it is not JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_json_that_nobody_can_use_is_one_line(tmp_path, content, line):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DDCoreError, match=rf"a\.json is damaged: .*{line}") as caught:
        read_json(tmp_path / "a.json")
    assert "\n" not in str(caught.value)


def test_json_that_cannot_be_opened_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        with pytest.raises(DDCoreError, match=f"{name} is not a file"):
            read_json(tmp_path / name)
    with pytest.raises(DDCoreError, match="is missing"):
        read_json(tmp_path / "none")
    with pytest.raises(DDCoreError, match="is missing"):
        load_tensors(tmp_path / "pipe")

    def refused(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(files.Path, "is_file", refused)
    for read in (read_json, load_tensors):
        with pytest.raises(DDCoreError, match="cannot be read: Permission denied"):
            read(tmp_path / "secret")


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(tmp_path):
    (tmp_path / "theirs").write_text("kept")
    (tmp_path / f".a.json.{os.getpid()}").symlink_to(tmp_path / "theirs")
    write_json(tmp_path / "a.json", 1)
    assert (tmp_path / "theirs").read_text() == "kept" and read_json(tmp_path / "a.json") == 1


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("T-shirt/top", "T-shirt-top"),
        ("dm+moments=2+augment=flip,scale", "dm+moments=2+augment=flip,scale"),
        ("schön", "schön"),
        ("猫", "猫"),
        ("", "-"),
        ("..", "--"),
        (".", "-"),
        (".hidden", "-hidden"),
        ("/etc/passwd", "-etc-passwd"),
        ("a\\b\0c\nd", "a-b-c-d"),
        ("\ud800", "-"),
        ("$0_$50", "-0_-50"),
    ],
)
def test_a_text_becomes_the_name_of_one_file(text, name):
    assert file_name(text) == name


def test_long_names_are_cut_and_stay_apart():
    long = [file_name(sign * 240) for sign in "aäx猫"] + [file_name("a" * 240 + "b")]
    assert len(set(long)) == 5 and all(len(name.encode()) <= 120 for name in long)


def test_every_place_has_a_name_of_its_own():
    assert file_names(["a b", "a-b", "A-B", "a-b-2", "a/b"]) == ["a-b", "a-b-2", "A-B-3", "a-b-2-2", "a-b-4"]
    assert file_names(["", ".", "x"]) == ["-", "--2", "x"]


def test_names_that_lead_out_of_a_folder_are_refused(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "out").symlink_to(tmp_path)
    (home / "in").symlink_to(home)
    assert inside(home, "figures/a.png") == home / "figures" / "a.png" and inside(home, "in/a").parent.name == "in"
    for name in ("../a.png", "/etc/passwd", "figures/../../a", "out/a.png"):
        with pytest.raises(DDCoreError, match="leads out of"):
            inside(home, name)
    with pytest.raises(UsageError, match=r"home/out is a link out of"):
        check_links(home)
    (home / "out").unlink()
    check_links(home)


def test_files_are_known_by_their_names_and_bytes(tmp_path):
    first, second = tmp_path / "a" / "x", tmp_path / "b" / "x"
    for path in (first, second):
        path.parent.mkdir()
        path.write_bytes(b"same")
    digest = files.files_digest(first.parent, [first])
    assert digest == files.files_digest(second.parent, [second]) and len(digest) == 16
    assert digest != files.files_digest(tmp_path, [first]) and files.files_digest(tmp_path, []) == ""
    os.utime(first, ns=(0, 0))
    first.write_bytes(b"size")
    assert digest != files.files_digest(first.parent, [first])


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(DDCoreError, match=r"gone cannot be read: No such file"):
        files.files_digest(tmp_path, [tmp_path / "gone"])


def test_a_large_file_is_read_once_until_it_changes(tmp_path, monkeypatch):
    path = tmp_path / "large"
    path.write_bytes(b"one")
    first = files.files_digest(tmp_path, [path])
    misses = files._file_digest.cache_info().misses
    assert files.files_digest(tmp_path, [path]) == first and files._file_digest.cache_info().misses == misses
    files.write_atomic(path, b"two")
    assert files.files_digest(tmp_path, [path]) != first


def test_tensors_are_known_by_type_shape_and_bytes():
    x = torch.arange(6.0)
    others = [x, x.double(), x.view(2, 3), x.flip(0), x[:5]]
    assert len({files.tensors_digest([each]) for each in others}) == 5
    assert files.tensors_digest([x.view(2, 3).T.T.requires_grad_()]) == files.tensors_digest([x.view(2, 3)])


def test_a_file_is_whole_and_on_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    path, steps = tmp_path / "set.json", []
    path.write_text("old")
    fsync, rename = os.fsync, os.replace

    def synced(descriptor):
        steps.append(("synced", os.fstat(descriptor).st_size))
        fsync(descriptor)

    def renamed(source, target):
        steps.append((path.read_text() if path.exists() else "", Path(source).read_text(), Path(target).name))
        rename(source, target)

    monkeypatch.setattr(files.os, "fsync", synced)
    monkeypatch.setattr(files.os, "replace", renamed)
    with open(path) as reader:
        write_atomic(path, b"newer")
        assert reader.read() == "old", "who has the old file open reads it to its end"
    assert steps == [("synced", 5), ("old", "newer", "set.json")] and path.read_text() == "newer"
    write_atomic(path, b"newest", tmp_path / "older.json")
    assert steps[2:] == [("synced", 6), ("newer", "newer", "older.json"), ("", "newest", "set.json")]
    assert (tmp_path / "older.json").read_text() == "newer"
