import errno
import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ddcore.data import pixel_cache
from ddcore.data.pixel_cache import forget, kept, new_pixels, pixel_folder, stored
from ddcore.errors import DDCoreError, UsageError
from ddcore.runtime import files

SHAPE = (7, 3, 5, 4)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path))


def written(name="toy-train.pixels"):
    """Write a file in two parts, the later one first, and return its path and what it holds."""
    x = torch.arange(np.prod(SHAPE)).to(torch.uint8).view(SHAPE)
    levels = torch.arange(3 * 256).view(3, 256)
    with new_pixels(pixel_folder() / name, SHAPE) as file:
        file.put(4, x[4:].numpy())
        file.put(0, x[:4].numpy())
        file.finish(levels)
    return pixel_folder() / name, x, levels


def test_pixels_come_back_as_they_were_and_other_tools_read_the_file():
    from safetensors.torch import load_file

    path, x, levels = written()
    back = stored(path)
    assert torch.equal(back.x, x) and torch.equal(back.levels, levels)
    assert back.x.data_ptr() % 8 == 0
    assert torch.equal(load_file(path)["pixels"], x)


def test_a_file_that_is_removed_or_replaced_is_still_there_for_who_uses_it():
    path, x, _ = written()
    back = stored(path)
    written()
    forget("toy")
    assert torch.equal(back.x, x) and stored(path) is None


@pytest.mark.parametrize("damage", ["missing", "cut", "longer", "empty", "header", "version", "foreign", "folder"])
def test_what_cannot_be_used_is_none(damage, monkeypatch):
    path, x, _ = written()
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[:-1])
    elif damage == "longer":
        path.write_bytes(content + b"\0")
    elif damage == "empty":
        path.touch()
    elif damage == "header":
        path.write_bytes(content[:100])
    elif damage == "version":
        monkeypatch.setattr(pixel_cache, "FORMAT", "another")
        path.write_bytes(content)
    elif damage == "foreign":
        files.save_tensors(path, {"pixels": x, "levels": torch.zeros(2)}, {"format": pixel_cache.FORMAT})
    elif damage == "folder":
        path.mkdir()
    assert stored(path) is None


def test_a_disk_that_is_full_half_way_is_one_line_and_leaves_nothing(monkeypatch):
    real, calls = os.pwrite, []

    def full(*words):
        calls.append(words)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*words)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(DDCoreError, match=r"cannot write .*toy-train\.pixels: No space left .*make room") as caught:
        written()
    assert "\n" not in str(caught.value) and not list(pixel_folder().iterdir())


def test_room_is_asked_for_before_anything_is_written(monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: SimpleNamespace(free=2**20))
    with pytest.raises(DDCoreError, match=r"of disk, 1 MB are free in .*: make room, set DDCORE_CACHE"):
        written()
    assert not list(pixel_folder().iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_is_interrupted_leaves_nothing_and_keeps_the_old_file(error):
    path, x, _ = written()
    with pytest.raises(error), new_pixels(path, SHAPE) as file:
        file.put(0, np.zeros(SHAPE, np.uint8))
        raise error
    assert [each.name for each in pixel_folder().iterdir()] == [path.name] and torch.equal(stored(path).x, x)


def test_what_killed_processes_left_is_removed_by_the_next():
    pixel_folder().mkdir(parents=True)
    for name in (".toy-train.pixels.123", ".toy-test.pixels.123"):
        (pixel_folder() / name).write_bytes(b"half")
    written()
    assert sorted(each.name for each in pixel_folder().iterdir()) == [".toy-test.pixels.123", "toy-train.pixels"]


def test_what_is_kept_is_listed_and_forgotten_by_its_name(tmp_path):
    assert kept() == []
    for name in ("a-1-train.pixels", "a-1-test.pixels", "b-2-train.pixels", "b-3.files"):
        written(name)
    (pixel_folder() / "b-2-train.pixels").write_bytes(b"cut")
    (tmp_path / "other").touch()
    assert [(each.name, each.what) for each in kept()] == [
        ("a-1", "7 images of 4x5 + 7 images of 4x5"),
        ("b-2", "a file that is cut or of another version"),
        ("b-3", "digests of files"),
    ]
    size = kept()[0].bytes
    assert forget("a-1") == size and [each.name for each in kept()] == ["b-2", "b-3"]
    for name in ("a-1", "../other", "", "b"):
        with pytest.raises(UsageError, match="nothing is kept under the name"):
            forget(name)
