"""What is made from one data set is refused for another, by content for custom data."""

from dataclasses import replace

import pytest
import torch

from ddcore.data.fingerprint import FINGERPRINT, Fingerprint
from ddcore.data.registry import load_task
from ddcore.data.tokeniser import train_tokeniser, vocabulary_digest
from ddcore.errors import UsageError
from ddcore.runtime.schema import fault_of


def test_it_travels_as_json(toy, review_task):
    for task in (toy, review_task):
        record = task.fingerprint.record()
        assert not fault_of(record, FINGERPRINT) and Fingerprint.read(record, task) == task.fingerprint
    assert toy.fingerprint.vocabulary == "" and len(review_task.fingerprint.vocabulary) == 16
    assert toy.fingerprint == Fingerprint.of(toy) and toy.fingerprint.shape == (1, 8, 8)


def test_it_depends_on_every_pixel_and_label(toy):
    x, y = toy.train.x.clone(), toy.train.y.clone()
    x[3, 0, 2, 2] += 1
    y[0] = 1 - y[0]
    parts = (replace(toy.train, x=x), replace(toy.train, y=y), toy.train[torch.arange(119)])
    assert len({Fingerprint.of(replace(toy, train=part)).content for part in (toy.train, *parts)}) == 4


def test_the_vocabulary_counts_in_its_order():
    texts = ["a a a b b c", "b b b a a c"]
    digests = [vocabulary_digest(train_tokeniser([text], rarest=1)) for text in (*texts, texts[0])]
    assert digests[0] != digests[1] and digests[0] == digests[2]


def test_the_same_data_need_no_line_and_another_copy_of_a_named_set_one(toy):
    assert toy.fingerprint.check(toy, "runs/small", "make it again") == ""
    other = replace(toy.fingerprint, content="0" * 16)
    assert (
        other.check(toy, "runs/small", "") == "runs/small was made from another copy or part of toy, whose bytes differ"
    )
    line = "runs/small does not say which content of toy it was made from: taken as the same"
    assert Fingerprint.read(None, toy).check(toy, "runs/small", "") == line


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"dataset": "mnist"}, "runs/small was made from mnist, not from toy: make it again"),
        ({"classes": ("high", "low")}, "has the classes high, low; the data have low, high: make it again"),
        ({"shape": (3, 8, 8)}, r"images of shape \(3, 8, 8\); those of the data have \(1, 8, 8\): make it again"),
        ({"vocabulary": "1"}, "made with another vocabulary than that of toy as it is now: make it again"),
    ],
)
def test_a_named_data_set_is_told_by_name_classes_shape_and_vocabulary(toy, change, line):
    with pytest.raises(UsageError, match=line):
        replace(toy.fingerprint, **change).check(toy, "runs/small", "make it again")


def test_custom_data_are_told_by_their_content_not_by_their_name(toy):
    own = replace(toy, name="images-pets", content="abc")
    assert own.fingerprint.content == "abc"
    assert replace(own.fingerprint, dataset="images-moved").check(own, "runs/small", "") == ""
    with pytest.raises(UsageError, match=r"another content of images-pets than its files have now: make it again"):
        replace(own.fingerprint, content="abd").check(own, "runs/small", "make it again")
    with pytest.raises(UsageError, match="was made from images-moved, not from images-pets"):
        replace(own.fingerprint, content="", dataset="images-moved").check(own, "runs/small", "")
    with pytest.raises(UsageError, match="was made from toy, not from images-pets"):
        toy.fingerprint.check(own, "runs/small", "")


def test_a_table_that_grew_is_other_data(tmp_path, write_table, monkeypatch):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "cache"))
    table = write_table(tmp_path / "t.csv", 80)
    before = load_task(f"text:{table}", tmp_path)
    assert before.fingerprint.check(load_task(f"text:{table}", tmp_path), "x", "") == ""
    table.write_text(table.read_text() + "".join(f'"A new remark on goodly things {i}.",good\n' for i in range(30)))
    with pytest.raises(UsageError, match=r"another vocabulary|another content"):
        before.fingerprint.check(load_task(f"text:{table}", tmp_path), "x", "")


def test_another_folder_of_pictures_is_other_data(tmp_path, write_pictures):
    for name, count in (("a", 30), ("b", 31)):
        write_pictures(tmp_path / name / "photos", {"cat": count, "dog": count})
    first, second = (load_task(f"images:{tmp_path / name / 'photos'}", tmp_path) for name in "ab")
    assert first.name == second.name
    with pytest.raises(UsageError, match=r"another content of images-photos"):
        first.fingerprint.check(second, "x", "")
