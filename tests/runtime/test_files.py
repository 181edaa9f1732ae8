import errno
import json
import os

import pytest
import torch

from ddcore.errors import DDCoreError
from ddcore.runtime import files
from ddcore.runtime.files import check_space, load_tensors, save_tensors, write_atomic, write_json


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
