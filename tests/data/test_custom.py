import os
from pathlib import Path

import pytest
import torch

from ddcore.data.custom import (
    SPLIT,
    Content,
    Part,
    check_classes,
    content_key,
    fingerprint,
    held_out,
    in_order,
    parse,
    refuse_inside,
)
from ddcore.data.registry import load_task
from ddcore.errors import UsageError
from ddcore.runtime import LOG

# What the rule of `SPLIT` gives for 20 members.
HELD = [3, 7, 17, 19]
PRINT = "b3e85ea2ed425aef6c44a19785900a2c"


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


def test_a_name_on_the_hub_is_told_from_a_folder(tmp_path, monkeypatch):
    custom = parse("hf:some/animals,image=photo,label=kind,train=big,test=,config=small,side=64")
    assert custom.hub == custom.title == "some/animals" and custom.paths == () and custom.name == "hf-some-animals"
    words = {"image": "photo", "label": "kind", "train": "big", "test": "", "config": "small", "side": "64"}
    assert custom.options == words and custom.side == 64 and "Hub" in custom.place
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some" / "animals").mkdir(parents=True)
    custom = parse("hf:some/animals,text=review")
    assert custom.hub == "" and custom.title == "animals" and custom.place == "some/animals" and custom.side is None
    assert parse(f"hf:{tmp_path}/some/./animals").name == "hf-animals"


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
        ("hf:", "names no data set: give hf:WHERE"),
        ("hf:{}/nowhere", r"nowhere is missing .*image=, text=, label=, train=, test="),
        ("hf:some/animals,side=x", "side=x is not a number"),
        ("hf:some/animals,split=train", "split=train is missing"),
        ("hf:some/animals/more", "some/animals/more is missing"),
        ("hf:some/animals,damaged=keep", "damaged=keep is unknown"),
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
    assert in_order(["9" * 5000, "8"]) == ("8", "9" * 5000)


def prints(count, first=0):
    return [fingerprint(f"member {i}".encode()) for i in range(first, first + count)]


def test_a_fifth_of_every_class_is_held_out_always_the_same():
    y = torch.tensor([0] * 50 + [1] * 10 + [2] * 2)
    held = held_out(y, prints(62))
    assert torch.bincount(y[held]).tolist() == [10, 2, 1]
    assert torch.equal(held, held_out(y, prints(62))) and torch.equal(held, held.unique())


def test_another_class_does_not_move_what_is_held_out():
    y = torch.tensor([0] * 50 + [1] * 10)
    more = torch.cat([y, torch.full((30,), 2)])
    assert torch.equal(held_out(more, prints(90))[:12], held_out(y, prints(60)))


def test_the_order_of_the_members_does_not_matter():
    y, order = torch.zeros(40, dtype=torch.int64), torch.randperm(40, generator=torch.Generator().manual_seed(1))
    shuffled = held_out(y, [prints(40)[i] for i in order.tolist()])
    assert set(order[shuffled].tolist()) == set(held_out(y, prints(40)).tolist())


@pytest.mark.parametrize("count", [98, 99, 100, 101, 102])
def test_one_more_member_moves_at_most_one_other(count):
    before = set(held_out(torch.zeros(count, dtype=torch.int64), prints(count)).tolist())
    after = set(held_out(torch.zeros(count + 1, dtype=torch.int64), prints(count + 1)).tolist())
    assert len(before) == round(count / 5) and len(after) == round((count + 1) / 5)
    assert len(before ^ (after - {count})) <= 1


def test_equal_members_stay_on_one_side():
    many = [each for i in range(12) for each in prints(1, i) * (1 + i % 5)]
    held = held_out(torch.zeros(len(many), dtype=torch.int64), many)
    tested, kept = ({many[i] for i in range(len(many)) if (i in held) == side} for side in (True, False))
    assert not tested & kept and abs(len(held) - len(many) / 5) <= 3
    assert held_out(torch.zeros(21, dtype=torch.int64), [b"a"] * 20 + [b"b"]).tolist() in ([20], list(range(20)))


def test_the_rule_that_splits_is_fixed():
    """Another one needs another name in `SPLIT`, because sets were made from what it would hold out."""
    assert SPLIT.endswith(" 1") and held_out(torch.zeros(20, dtype=torch.int64), prints(20)).tolist() == HELD
    assert fingerprint(b"member 0").hex() == PRINT


def test_a_file_has_the_fingerprint_of_its_content(tmp_path):
    (tmp_path / "any").write_bytes(b"x" * (2**20 + 3))
    assert fingerprint(tmp_path / "any") == fingerprint(b"x" * (2**20 + 3)) != fingerprint(b"x")


def part(*members):
    return Part(list(members), torch.tensor([k % 2 for k in range(len(members))]), [m.encode() for m in members])


def test_copies_in_the_test_set_are_counted_in_one_warning(monkeypatch):
    lines = []
    monkeypatch.setattr(LOG, "warning", lambda line, *values: lines.append(line % values))
    content = Content.of(Path("own"), ("a", "b"), part("w", "x", "y", "z"), part("x", "w", "v"))
    assert content.shared == 2 and content.split == ""
    assert content.sizes == "4 for training and 3 for testing (2 of them are training members, too)"
    assert lines == [
        "2 of 3 test members of own are training members, too, so that accuracies come out too high: remove the copies"
    ]
    lines.clear()
    assert Content.of(Path("own"), ("a", "b"), part("w", "x"), part("v")).sizes == "2 for training and 1 for testing"
    assert not lines


def test_a_class_of_copies_only_cannot_be_split():
    with pytest.raises(UsageError, match="the 2 members of class 'a' of own are all the same: add others"):
        Content.of(Path("own"), ("a", "b"), part("w", "x", "w", "y"), None)
    assert Content.of(Path("own"), ("a", "b"), part("u", "x", "w", "y"), None).split == SPLIT


def test_a_long_name_stays_short_enough_for_a_file(tmp_path):
    path = tmp_path / ("a" * 240 + ".csv")
    path.write_text("", encoding="utf-8")
    custom = parse(f"text:{path}")
    assert custom.name == "text-" + "a" * 60 and custom.title == "a" * 240
    assert len(parse(f"text:{path},{path}").paths) == 2


def test_names_that_are_not_utf_8_are_one_line(tmp_path, monkeypatch):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    os.mkdir(odd)
    with pytest.raises(UsageError, match=r"caf\\udce9: this name is not UTF-8: rename") as caught:
        parse(f"images:{odd}")
    str(caught.value).encode()
    monkeypatch.chdir(odd)
    assert parse("images:.").name == "images-caf" and parse("images:.").title == "caf?"


def test_an_unknown_home_folder_is_one_line():
    with pytest.raises(UsageError, match="the home folder in ~no-such-user/x is unknown: write the whole path"):
        parse("images:~no-such-user/x")


def test_a_folder_that_cannot_be_entered_is_one_line(locked):
    with pytest.raises(UsageError, match="inside cannot be read: Permission denied"):
        parse(f"images:{locked}/inside")


def test_output_inside_the_images_is_refused(pets, remarks, tmp_path):
    (tmp_path / "link").symlink_to(pets)
    for out in (
        pets,
        pets / "runs",
        pets / "cat" / "new" / "run",
        tmp_path / "link" / "run",
        pets / ".." / "pets" / "x",
    ):
        with pytest.raises(UsageError, match=r"lies inside the images' folder .*: give another folder"):
            refuse_inside(f"images:{pets}", out)
    for out in (tmp_path, tmp_path / "pets-2", tmp_path / "runs"):
        refuse_inside(f"images:{pets}", out)
    with pytest.raises(UsageError, match=r"lies inside the data set .*pets: give another folder"):
        refuse_inside(f"hf:{pets}", pets / "runs")
    refuse_inside("hf:some/animals", tmp_path)
    refuse_inside(f"text:{remarks}", tmp_path)
    refuse_inside("mnist", pets)


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
