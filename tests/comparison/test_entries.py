from dataclasses import dataclass
from typing import ClassVar

import pytest

from ddcore.comparison.entries import entries, one_entry
from ddcore.errors import UsageError
from ddcore.methods.registry import METHODS
from ddcore.options import flat, option
from ddcore.synthesis.contract import Method


@dataclass(frozen=True)
class Follower(Method):
    """A method that a folder is given to."""

    name: ClassVar[str] = "follower"

    experts: str = option("", "a folder")


def test_names_options_and_commas_within_values_are_told_apart():
    found = entries("k-means, dm:moments=2:augment=flip,scale,frepo,herding:labels=soft,frepo", {})
    assert [entry.title for entry in found] == [
        "k-means",
        "dm:augment=flip,scale:moments=2",
        "frepo",
        "herding:labels=soft",
    ]
    assert (found[1].maker.moments, found[1].maker.augment) == (2, "flip,scale")
    assert [entry.selector is not None for entry in found] == [True, False, False, True]
    assert flat(found[3].maker)["labels"] == "soft"


def test_only_methods_that_take_steps_are_timed():
    assert [one_entry(name, {}).timed for name in ("dm", "boost-dd", "cover", "random")] == [True, True, False, False]


def test_the_order_and_spelling_of_options_make_no_other_entry():
    assert one_entry("dm:real_batch=9:moments=2", {}) == one_entry("dm:moments=2:real-batch=9", {})


def test_a_folder_goes_to_those_that_have_an_option_for_it(monkeypatch):
    monkeypatch.setitem(METHODS, "follower", Follower)
    followed, other = entries("follower,dm", {"experts": "here"})
    assert followed.maker.experts == "here" and followed.title == "follower" and not hasattr(other.maker, "experts")
    assert one_entry("follower:experts=there", {"experts": "here"}).maker.experts == "there"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("magic", "unknown method or selector 'magic'; known: boost-dd"),
        ("dm,", "unknown method or selector ''"),
        ("dm:moments", "'moments' is no option of dm: write dm:option=value"),
        ("dm:moments=3", "dm:moments=3: --moments 3 is too large"),
        ("dm:moments=two", "dm:moments=two: argument --moments: invalid int"),
        ("dm:epochs=3", "unknown option 'epochs'; known: augment"),
        ("dm:steps=3", "dm:steps=3: leave steps out, they are counted from --minutes"),
        ("random:labels=odd", "random:labels=odd: argument --labels: invalid choice: 'odd'"),
    ],
)
def test_what_is_wrong_is_one_line(text, said):
    with pytest.raises(UsageError, match=said) as caught:
        entries(text, {})
    assert "\n" not in str(caught.value)


def test_a_name_of_an_earlier_version_asks_for_the_same_entry():
    old, now = one_entry("dm:checks=2", {}), one_entry("dm:validations=2", {})
    assert old == now and old.title == "dm:validations=2"
