"""Arrays of .npz files: no pickle, and no more memory than the file fills."""

import io
import zipfile

import numpy as np
import pytest
import torch

from ddcore.errors import DDCoreError
from ddcore.sets.formats import limits
from ddcore.sets.formats.npz_file import load_arrays, save_arrays


def refused(path, names=("a",)) -> str:
    with pytest.raises(DDCoreError) as caught:
        load_arrays(path, names)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_arrays_come_back_as_they_were(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.asfortranarray(np.eye(3)), "c": np.arange(3)}
    save_arrays(arrays, tmp_path / "x.npz")
    found = load_arrays(tmp_path / "x.npz", ("a", "b", "c"))
    assert all(torch.equal(found[name], torch.from_numpy(array)) for name, array in arrays.items())
    assert "holds no array 'd' (it has: a, b, c)" in refused(tmp_path / "x.npz", ("d",))


def test_objects_are_not_unpickled(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.array([{"b": 1}], dtype=object))
    assert "not of numbers" in refused(tmp_path / "x.npz")


def test_an_array_that_says_to_be_larger_than_it_is_is_refused(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**8,)})
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", header.getvalue() + bytes(40))
    assert "'a' in" in refused(tmp_path / "x.npz") and "is truncated" in refused(tmp_path / "x.npz")


def test_an_archive_that_unpacks_to_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MOST_BYTES", 10**6)
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(10**6, np.float32))
    assert (tmp_path / "x.npz").stat().st_size < 10**5
    assert "the unpacked content of" in refused(tmp_path / "x.npz")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04rubbish"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    refused(tmp_path / "x.npz")
