import os

import numpy as np
import pytest

from ddcore.data.file_index import FRESH, FileIndex, place_key
from ddcore.data.pictures import Heads

NAMES = ["a/1.png", "a/2.png", "b/\udce9.png"]


def index_of(path, names=NAMES, states=None, taken=FRESH + 100):
    states = np.arange(4 * len(names)).reshape(-1, 4) if states is None else states
    return FileIndex(path / "own.files", names, states, taken)


def heads_of(count=3):
    heads = Heads.blank(count)
    heads.fingerprints[:] = np.arange(16 * count).reshape(count, 16)
    heads.sizes[:] = [[10 + i, 20] for i in range(count)]
    heads.whole[0] = True
    return heads


def test_files_that_are_as_they_were_are_not_read_again(tmp_path):
    index = index_of(tmp_path)
    assert index.recall(skip=False)[1].tolist() == [0, 1, 2]
    index.keep(heads_of())
    heads, unread = index.recall(skip=False)
    assert not len(unread) and np.array_equal(heads.fingerprints, heads_of().fingerprints)
    assert heads.sizes.tolist() == [[10, 20], [11, 20], [12, 20]] and heads.whole.tolist() == [True, False, False]


@pytest.mark.parametrize("column", range(4))
def test_a_file_with_another_size_number_or_time_is_read_again(tmp_path, column):
    index_of(tmp_path).keep(heads_of())
    states = np.arange(12).reshape(3, 4)
    states[1, column] += 1
    assert index_of(tmp_path, states=states).recall(skip=False)[1].tolist() == [1]


def test_files_that_come_and_go_leave_the_others_known(tmp_path):
    index_of(tmp_path).keep(heads_of())
    states = np.array([[8, 9, 10, 11], [0, 0, 0, 0], [0, 1, 2, 3]])
    heads, unread = index_of(tmp_path, [NAMES[2], "new.png", NAMES[0]], states).recall(skip=False)
    assert unread.tolist() == [1] and heads.sizes[[0, 2]].tolist() == [[12, 20], [10, 20]]


def test_damaged_pictures_and_those_that_were_not_decoded_are_known_to_who_asks_for_them(tmp_path):
    heads = heads_of()
    heads.sizes[0] = 0
    index_of(tmp_path).keep(heads)
    assert index_of(tmp_path).recall(skip=False)[1].tolist() == [0]
    assert index_of(tmp_path).recall(skip=True)[1].tolist() == [1, 2]


def test_files_that_were_changed_just_now_are_not_remembered(tmp_path):
    index_of(tmp_path, taken=FRESH + 10).keep(heads_of())  # the last times are 3, 7 and 11
    assert index_of(tmp_path).recall(skip=False)[1].tolist() == [2]
    index_of(tmp_path / "other", taken=0).keep(heads_of())
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("damage", [lambda content: content[:-3], lambda content: b"", lambda content: b"{}" * 50])
def test_a_damaged_index_is_not_used(tmp_path, damage):
    index = index_of(tmp_path)
    index.keep(heads_of())
    index.path.write_bytes(damage(index.path.read_bytes()))
    heads, unread = index.recall(skip=False)
    assert unread.tolist() == [0, 1, 2] and not heads.sizes.any()


def test_an_index_of_another_form_is_not_used(tmp_path, monkeypatch):
    from ddcore.data import file_index

    index_of(tmp_path).keep(heads_of())
    monkeypatch.setattr(file_index, "FORMAT", "another")
    assert index_of(tmp_path).recall(skip=False)[1].tolist() == [0, 1, 2]


def test_an_index_that_cannot_be_written_is_no_error(tmp_path, locked_up):
    with locked_up(tmp_path, mode=0o500):
        index_of(tmp_path).keep(heads_of())
    assert not list(tmp_path.iterdir())


def test_a_folder_has_one_key_however_it_is_reached(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    keys = {place_key(tmp_path / name) for name in ("real", "link", "real/../real")}
    assert len(keys) == 1 and place_key(tmp_path) not in keys and os.sep not in keys.pop()
