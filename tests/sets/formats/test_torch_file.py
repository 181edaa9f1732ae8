"""Files of torch.save: tensors and numbers are read, nothing is executed, and nothing large is allocated."""

import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

from ddcore.errors import DDCoreError
from ddcore.sets.formats import limits, torch_file


class Harm:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def refused(path) -> str:
    with pytest.raises(DDCoreError) as caught:
        torch_file.load(path)
    line = str(caught.value)
    assert "\n" not in line and str(path) in line
    return line


@pytest.mark.parametrize("modern", [True, False])
def test_numbers_of_numpy_become_numbers(tmp_path, modern):
    numbers = [
        np.float64(0.1),
        np.float32(0.5),
        np.float16(2),
        np.int64(-3),
        np.int32(4),
        np.uint8(200),
        np.bool_(True),
    ]
    torch.save({"numbers": numbers, "x": torch.arange(3)}, tmp_path / "a.pt", _use_new_zipfile_serialization=modern)
    found = torch_file.load(tmp_path / "a.pt")
    assert found["numbers"] == [0.1, 0.5, 2, -3, 4, 200, 1] and torch.equal(found["x"], torch.arange(3))


def test_the_names_of_numpy_1_are_read_too(tmp_path):
    torch.save([np.float64(0.1)], tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as new, zipfile.ZipFile(tmp_path / "b.pt", "w") as old:
        for each in new.namelist():
            content = new.read(each)
            assert b"numpy._core.multiarray" in content or not each.endswith("data.pkl")
            old.writestr(each, content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert torch_file.load(tmp_path / "b.pt") == [0.1]


@pytest.mark.parametrize("modern", [True, False])
def test_a_pickle_is_not_executed(tmp_path, modern):
    torch.save({"data": Harm(tmp_path / "harm")}, tmp_path / "a.pt", _use_new_zipfile_serialization=modern)
    (tmp_path / "b.pt").write_bytes(pickle.dumps(Harm(tmp_path / "harm")))
    assert "posix.mkdir" in refused(tmp_path / "a.pt") and "no pickle is executed" in refused(tmp_path / "a.pt")
    assert "a pickle, which is not executed" in refused(tmp_path / "b.pt")
    assert not (tmp_path / "harm").exists()


def test_objects_and_arrays_of_numpy_are_refused(tmp_path):
    torch.save(np.zeros(3), tmp_path / "a.pt")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "b.pt")
    assert "numpy._core.multiarray._reconstruct" in refused(tmp_path / "a.pt")
    assert "torch.nn.modules.linear.Linear" in refused(tmp_path / "b.pt")


def test_a_numpy_scalar_of_objects_never_reads_an_address(tmp_path):
    torch.save([np.float64(0.1)], tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as old, zipfile.ZipFile(tmp_path / "b.pt", "w") as new:
        for each in old.namelist():
            content = old.read(each)
            if each.endswith("data.pkl"):
                assert content.count(b"\x02\x00\x00\x00f8") == 1
                content = content.replace(b"\x02\x00\x00\x00f8", b"\x02\x00\x00\x00O8")
            new.writestr(each, content)
    refused(tmp_path / "b.pt")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02", b"PK\x03\x04rubbish"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.pt").write_bytes(content)
    refused(tmp_path / "a.pt")


def test_missing_and_cut_files_are_refused(tmp_path):
    torch.save(torch.zeros(1000), tmp_path / "a.pt")
    whole = (tmp_path / "a.pt").read_bytes()
    (tmp_path / "b.pt").write_bytes(whole[: len(whole) // 2])
    assert "truncated or damaged" in refused(tmp_path / "b.pt")
    assert "is missing" in refused(tmp_path / "c.pt") and "is not a file" in refused(tmp_path)


def test_a_large_file_and_one_that_unpacks_to_much_are_refused_before_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MOST_BYTES", 10**6)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("the file was read"))
    (tmp_path / "a.pt").write_bytes(bytes(2 * 10**6))
    with zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("a/data.pkl", bytes(5 * 10**6))
    assert (tmp_path / "b.pt").stat().st_size < 10**5
    assert "more than 1 MB" in refused(tmp_path / "a.pt") and "unpacked content" in refused(tmp_path / "b.pt")


def test_a_small_storage_that_is_shown_many_times_is_refused(tmp_path):
    torch.save({"x": torch.zeros(1).expand(2**40)}, tmp_path / "a.pt")
    assert (tmp_path / "a.pt").stat().st_size < 10**4
    with pytest.raises(DDCoreError, match=r"the images is .* more than"):
        torch_file.tensor(torch_file.load(tmp_path / "a.pt")["x"], "the images")


@pytest.mark.parametrize("value", [None, 3, torch.zeros(2, dtype=torch.complex64), torch.eye(2).to_sparse()])
def test_only_dense_tensors_of_numbers_are_taken(value):
    with pytest.raises(DDCoreError, match="the images is"):
        torch_file.tensor(value, "the images")
