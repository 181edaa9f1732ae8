import pytest
import torch

from ddcore.data.custom import check_classes, content_key, held_out, in_order, parse
from ddcore.data.registry import load_task
from ddcore.errors import UsageError


def test_other_names_are_left_to_the_registry(tmp_path):
    assert parse("mnist") is None and parse("video:clips") is None
    with pytest.raises(UsageError, match=r"unknown data set 'video:clips'.*images:DIR.*text:FILE"):
        load_task("video:clips", tmp_path)


def test_paths_and_options_come_apart(tmp_path):
    for name in ("a.csv", "b.csv", "c,d.csv"):
        (tmp_path / name).write_text("")
    custom = parse(f"text:{tmp_path}/a.csv,{tmp_path}/b.csv,text=review,label=stars")
    assert [path.name for path in custom.paths] == ["a.csv", "b.csv"]
    assert custom.options == {"text": "review", "label": "stars"} and custom.name == "text-a"
    assert parse(f"text:{tmp_path}/c,d.csv").name == "text-c-d"
    assert parse(f"images:{tmp_path},side=32").options == {"side": "32"}


def test_a_folder_given_as_a_dot_has_its_own_name(tmp_path, monkeypatch):
    (tmp_path / "my pets!").mkdir()
    monkeypatch.chdir(tmp_path / "my pets!")
    assert parse("images:.").name == "images-my-pets"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("images:", "give images:DIR"),
        ("text:,label=x", "give text:FILE"),
        ("images:{}/nowhere", "nowhere is missing"),
        ("images:{},size=3", r"size=3 is missing .*side="),
        ("text:{},{},{}", "one path too many"),
        ("images:{},side=big", "side=big is not a number"),
        ("images:{},side=-8", "side=-8 is not a number"),
    ],
)
def test_words_that_make_no_sense_are_one_line(tmp_path, words, told):
    with pytest.raises(UsageError, match=told) as caught:
        parse(words.replace("{}", str(tmp_path)))
    assert "\n" not in str(caught.value)


def test_names_are_sorted_and_numbers_by_value():
    assert in_order(["pear", "apple", "pear"]) == ("apple", "pear")
    assert in_order(["10", "9", "-1"]) == ("-1", "9", "10")
    assert in_order(["10", "9", "x"]) == ("10", "9", "x")


def test_a_fifth_of_every_class_is_held_out_always_the_same():
    y = torch.tensor([0] * 50 + [1] * 10 + [2] * 2)
    held = held_out(y)
    assert torch.bincount(y[held]).tolist() == [10, 2, 1]
    assert torch.equal(held, held_out(y)) and torch.equal(held, held.unique())


def test_another_class_does_not_move_what_is_held_out():
    y = torch.tensor([0] * 50 + [1] * 10)
    more = torch.cat([y, torch.full((30,), 2)])
    assert torch.equal(held_out(more)[:12], held_out(y))


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"a": 40}, r"only one class \('a'\)"),
        ({}, "no classes"),
        ({"a": 40, "b": 0}, "class 'b' of here is empty"),
        ({"a": 40, "b": 1}, "class 'b' of here has 1 member"),
        ({"a": 4, "b": 4}, "8 members: at least 20"),
    ],
)
def test_classes_that_teach_nothing_are_refused(counts, told):
    with pytest.raises(UsageError, match=told):
        check_classes("here", counts, split=True)
    check_classes("here", {"a": 40, "b": 1}, split=False)


def test_the_key_depends_on_every_part_and_its_end():
    keys = {content_key(b"ab", b"c"), content_key(b"a", b"bc"), content_key(b"ab"), content_key(b"abc")}
    assert len(keys) == 4 and content_key(b"ab", b"c") in keys
