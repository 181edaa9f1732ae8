import os

import pytest
import torch

from ddcore.errors import DDCoreError
from ddcore.runtime.files import load_tensors, save_tensors
from ddcore.runtime.tensor_files import filling, map_tensors, mapped

TENSORS = {
    "logits": torch.arange(6.0).view(3, 2),
    "features": torch.ones(3, 5).half(),
    "counts": torch.tensor([3, 1]),
    "bytes": torch.tensor([3], dtype=torch.uint8),
    "short": torch.tensor([3, 1], dtype=torch.int16),
    "classes": torch.tensor([3, 1], dtype=torch.int32),
    "none": torch.empty(0, 4),
}
NOTES = {"teacher": '{"net": "é"}'}


def fill(path, tensors=TENSORS):
    with filling(path, {name: (each.dtype, tuple(each.shape)) for name, each in tensors.items()}, NOTES) as new:
        for name, each in tensors.items():
            new[name].copy_(each)


def test_a_filled_file_has_the_bytes_of_a_saved_one(tmp_path):
    fill(tmp_path / "filled.safetensors")
    save_tensors(tmp_path / "saved.safetensors", TENSORS, NOTES)
    assert (tmp_path / "filled.safetensors").read_bytes() == (tmp_path / "saved.safetensors").read_bytes()


def test_mapped_tensors_are_those_that_were_saved_of_any_dtype(tmp_path):
    tensors = {**TENSORS, "odd": torch.ones(3, dtype=torch.uint8), "wide": torch.ones(2, dtype=torch.bfloat16)}
    save_tensors(tmp_path / "file.safetensors", tensors, NOTES)
    found, notes = map_tensors(tmp_path / "file.safetensors")
    assert notes == NOTES and found.keys() == tensors.keys()
    assert all(torch.equal(found[name], each) and found[name].dtype == each.dtype for name, each in tensors.items())


def test_a_file_that_was_not_filled_to_the_end_leaves_the_old_one(tmp_path):
    path = tmp_path / "file.safetensors"
    fill(path)
    with pytest.raises(KeyboardInterrupt), filling(path, {"x": (torch.float32, (2,))}, NOTES):
        raise KeyboardInterrupt
    assert torch.equal(load_tensors(path)[0]["logits"], TENSORS["logits"]) and os.listdir(tmp_path) == [path.name]


def test_a_disk_without_room_for_the_whole_file_is_one_line(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DDCoreError, match=r"cannot write .*: No space left on device; existing files are unchanged"):
        fill(tmp_path / "file.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 64])
def test_a_damaged_file_is_refused(tmp_path, content):
    path = tmp_path / "file.safetensors"
    path.write_bytes(content)
    with pytest.raises(DDCoreError, match="not a readable safetensors file"):
        map_tensors(path)
    fill(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DDCoreError, match="not a readable safetensors file"):
        map_tensors(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DDCoreError, match="is missing"):
        map_tensors(tmp_path / "file.safetensors")


def test_a_part_of_a_file_is_shared_with_it(tmp_path):
    path = tmp_path / "numbers"
    path.write_bytes(bytes(range(10)))
    whole, part = mapped(path, torch.uint8, (10,)), mapped(path, torch.uint8, (2, 3), offset=4, mode="r+")
    part[1, 2] = 77
    assert whole.tolist() == [*range(9), 77] and part.tolist() == [[4, 5, 6], [7, 8, 77]]
